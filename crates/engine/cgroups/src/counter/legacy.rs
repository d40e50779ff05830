//! Counters of cgroup v1, where each controller has a hierarchy of its own.
//!
//! `memory.stat` carries most answers; its `total_` lines include the groups inside. Pressure does not exist on v1.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use crio_types::{CpuStats, MemoryStats, SwapStats, Timestamp};

use super::{Buffer, Counter, CounterError, Counters, parse};
use crate::hierarchy::Hierarchies;
use crate::{CgroupPath, Controller};

#[derive(Debug)]
pub(super) struct Files {
    cpu_usage: Counter,
    memory_usage: Counter,
    memory_limit: Counter,
    memory_stat: Counter,
    memory_swap_limit: Counter,
    pids: Counter,
}

impl Files {
    pub(super) fn open(hierarchies: &Hierarchies, path: &CgroupPath) -> Result<Option<Self>, CounterError> {
        let cpu = Directory::of(hierarchies, Controller::Cpuacct, path);
        let memory = Directory::of(hierarchies, Controller::Memory, path);
        let pids = Directory::of(hierarchies, Controller::Pids, path);
        let files = Self {
            cpu_usage: cpu.open("cpuacct.usage")?,
            memory_usage: memory.open("memory.usage_in_bytes")?,
            memory_limit: memory.open("memory.limit_in_bytes")?,
            memory_stat: memory.open("memory.stat")?,
            memory_swap_limit: memory.open("memory.memsw.limit_in_bytes")?,
            pids: pids.open("pids.current")?,
        };
        let exists = files.cpu_usage.is_open() || files.memory_usage.is_open() || files.pids.is_open();
        Ok(exists.then_some(files))
    }

    pub(super) fn all(&self) -> [&Counter; 6] {
        [
            &self.cpu_usage,
            &self.memory_usage,
            &self.memory_limit,
            &self.memory_stat,
            &self.memory_swap_limit,
            &self.pids,
        ]
    }

    pub(super) fn read(&self, timestamp: Timestamp, buffer: &mut Buffer) -> Result<Counters, CounterError> {
        let cpu = self.cpu_usage.number(buffer)?.map(|usage_core_ns| CpuStats {
            timestamp,
            usage_core_ns,
            usage_nano_cores: None,
            pressure: None,
        });
        let (memory, swap) = self.read_memory(timestamp, buffer)?;
        Ok(Counters { cpu, memory, swap, io: None, task_count: self.pids.number(buffer)? })
    }

    fn read_memory(
        &self,
        timestamp: Timestamp,
        buffer: &mut Buffer,
    ) -> Result<(Option<MemoryStats>, Option<SwapStats>), CounterError> {
        let Some(usage_bytes) = self.memory_usage.number(buffer)? else {
            return Ok((None, None));
        };
        let limit = self.memory_limit.limit(buffer)?;
        let with_swap_limit = self.memory_swap_limit.limit(buffer)?;
        let Some(text) = self.memory_stat.read(buffer)? else {
            return Ok((None, None));
        };
        let stat = Stat::parse(text);
        let working_set_bytes = usage_bytes.saturating_sub(stat.inactive_file);
        let memory = MemoryStats {
            timestamp,
            working_set_bytes,
            available_bytes: limit.map(|limit| limit.saturating_sub(working_set_bytes)),
            usage_bytes,
            rss_bytes: stat.rss,
            page_faults: stat.page_faults,
            major_page_faults: stat.major_page_faults,
            pressure: None,
        };
        let swap_limit = with_swap_limit.zip(limit).map(|(both, memory)| both.saturating_sub(memory));
        let swap = stat.swap.filter(|_| self.memory_swap_limit.is_open()).map(|usage_bytes| SwapStats {
            timestamp,
            available_bytes: swap_limit.map(|limit| limit.saturating_sub(usage_bytes)),
            usage_bytes,
        });
        Ok((Some(memory), swap))
    }
}

/// The group's directory in one hierarchy, if the host has that.
pub(super) struct Directory(Option<Arc<Path>>);

impl Directory {
    pub(super) fn of(hierarchies: &Hierarchies, controller: Controller, path: &CgroupPath) -> Self {
        Self(hierarchies.directory(controller, path).map(Arc::from))
    }

    pub(super) fn open(&self, name: impl Into<Cow<'static, str>>) -> Result<Counter, CounterError> {
        match &self.0 {
            Some(directory) => Counter::open(directory, name),
            None => Ok(Counter::absent(name)),
        }
    }
}

/// The lines of `memory.stat` that are used.
#[derive(Debug, Default, PartialEq)]
struct Stat {
    inactive_file: u64,
    rss: u64,
    page_faults: u64,
    major_page_faults: u64,
    swap: Option<u64>,
}

impl Stat {
    fn parse(text: &[u8]) -> Self {
        let mut stat = Self::default();
        for (key, value) in parse::fields(text) {
            match key {
                b"total_inactive_file" => stat.inactive_file = value,
                b"total_rss" => stat.rss = value,
                b"total_pgfault" => stat.page_faults = value,
                b"total_pgmajfault" => stat.major_page_faults = value,
                b"total_swap" => stat.swap = Some(value),
                _ => {}
            }
        }
        stat
    }
}
