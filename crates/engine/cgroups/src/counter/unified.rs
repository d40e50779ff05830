//! Counters of cgroup v2.

use std::path::Path;
use std::sync::Arc;

use crio_types::{CpuStats, IoStats, MemoryStats, Pressure, SwapStats, Timestamp};

use super::{Buffer, Counter, CounterError, Counters, parse};

const NANOSECONDS_PER_MICROSECOND: u64 = 1000;

#[derive(Debug)]
pub(super) struct Files {
    cpu_stat: Counter,
    cpu_pressure: Counter,
    memory_usage: Counter,
    memory_limit: Counter,
    memory_stat: Counter,
    memory_pressure: Counter,
    swap_usage: Counter,
    swap_limit: Counter,
    io_pressure: Counter,
    pids: Counter,
}

impl Files {
    pub(super) fn open(directory: &Arc<Path>) -> Result<Option<Self>, CounterError> {
        let open = |name| Counter::open(directory, name);
        let files = Self {
            cpu_stat: open("cpu.stat")?,
            cpu_pressure: open("cpu.pressure")?,
            memory_usage: open("memory.current")?,
            memory_limit: open("memory.max")?,
            memory_stat: open("memory.stat")?,
            memory_pressure: open("memory.pressure")?,
            swap_usage: open("memory.swap.current")?,
            swap_limit: open("memory.swap.max")?,
            io_pressure: open("io.pressure")?,
            pids: open("pids.current")?,
        };
        // `cpu.stat` is in every v2 group, whatever controllers it has.
        Ok(files.cpu_stat.is_open().then_some(files))
    }

    pub(super) fn all(&self) -> [&Counter; 10] {
        [
            &self.cpu_stat,
            &self.cpu_pressure,
            &self.memory_usage,
            &self.memory_limit,
            &self.memory_stat,
            &self.memory_pressure,
            &self.swap_usage,
            &self.swap_limit,
            &self.io_pressure,
            &self.pids,
        ]
    }

    pub(super) fn read(&self, timestamp: Timestamp, buffer: &mut Buffer) -> Result<Counters, CounterError> {
        let usage_us = self.cpu_stat.read(buffer)?.and_then(|text| parse::field(text, b"usage_usec"));
        let cpu_pressure = pressure(&self.cpu_pressure, buffer)?;
        let io_pressure = pressure(&self.io_pressure, buffer)?;
        Ok(Counters {
            cpu: usage_us.map(|usage_us| CpuStats {
                timestamp,
                usage_core_ns: usage_us.saturating_mul(NANOSECONDS_PER_MICROSECOND),
                usage_nano_cores: None,
                pressure: cpu_pressure,
            }),
            memory: self.read_memory(timestamp, buffer)?,
            swap: self.read_swap(timestamp, buffer)?,
            io: io_pressure.map(|pressure| IoStats { timestamp, pressure: Some(pressure) }),
            task_count: self.pids.number(buffer)?,
        })
    }

    fn read_memory(&self, timestamp: Timestamp, buffer: &mut Buffer) -> Result<Option<MemoryStats>, CounterError> {
        let Some(usage_bytes) = self.memory_usage.number(buffer)? else {
            return Ok(None);
        };
        let limit = self.memory_limit.limit(buffer)?;
        let pressure = pressure(&self.memory_pressure, buffer)?;
        let stat = Stat::parse(self.memory_stat.read(buffer)?.unwrap_or_default());
        let working_set_bytes = usage_bytes.saturating_sub(stat.inactive_file);
        Ok(Some(MemoryStats {
            timestamp,
            working_set_bytes,
            available_bytes: limit.map(|limit| limit.saturating_sub(working_set_bytes)),
            usage_bytes,
            rss_bytes: stat.anonymous,
            page_faults: stat.page_faults,
            major_page_faults: stat.major_page_faults,
            pressure,
        }))
    }

    fn read_swap(&self, timestamp: Timestamp, buffer: &mut Buffer) -> Result<Option<SwapStats>, CounterError> {
        let Some(usage_bytes) = self.swap_usage.number(buffer)? else {
            return Ok(None);
        };
        let limit = self.swap_limit.limit(buffer)?;
        Ok(Some(SwapStats {
            timestamp,
            available_bytes: limit.map(|limit| limit.saturating_sub(usage_bytes)),
            usage_bytes,
        }))
    }
}

fn pressure(counter: &Counter, buffer: &mut Buffer) -> Result<Option<Pressure>, CounterError> {
    Ok(counter.read(buffer)?.and_then(parse::pressure))
}

/// The lines of `memory.stat` that are used.
#[derive(Debug, Default, PartialEq)]
struct Stat {
    inactive_file: u64,
    anonymous: u64,
    page_faults: u64,
    major_page_faults: u64,
}

impl Stat {
    fn parse(text: &[u8]) -> Self {
        let mut stat = Self::default();
        for (key, value) in parse::fields(text) {
            match key {
                b"inactive_file" => stat.inactive_file = value,
                b"anon" => stat.anonymous = value,
                b"pgfault" => stat.page_faults = value,
                b"pgmajfault" => stat.major_page_faults = value,
                _ => {}
            }
        }
        stat
    }
}
