//! Details of cgroup v2.

use std::path::Path;
use std::sync::Arc;

use super::{CpuDetails, Details, DeviceIo, HugepageFiles, MemoryDetails, device_numbers, read_hugepages};
use crate::counter::{Buffer, Counter, CounterError, parse};

const NANOSECONDS_PER_MICROSECOND: u64 = 1000;

#[derive(Debug)]
pub(in crate::counter) struct Files {
    cpu_stat: Counter,
    memory_stat: Counter,
    memory_peak: Counter,
    memory_events: Counter,
    io_stat: Counter,
    task_limit: Counter,
    pub(super) hugepages: Vec<HugepageFiles>,
}

impl Files {
    pub(super) fn open(directory: &Arc<Path>, huge_page_sizes: Vec<String>) -> Result<Self, CounterError> {
        let open = |name| Counter::open(directory, name);
        let hugepages = huge_page_sizes.into_iter().map(|page_size| {
            Ok(HugepageFiles {
                usage: Counter::open(directory, format!("hugetlb.{page_size}.current"))?,
                peak: Counter::absent("a peak"),
                page_size,
            })
        });
        Ok(Self {
            cpu_stat: open("cpu.stat")?,
            memory_stat: open("memory.stat")?,
            memory_peak: open("memory.peak")?,
            memory_events: open("memory.events")?,
            io_stat: open("io.stat")?,
            task_limit: open("pids.max")?,
            hugepages: hugepages.collect::<Result<_, CounterError>>()?,
        })
    }

    pub(super) fn fixed(&self) -> [&Counter; 6] {
        [&self.cpu_stat, &self.memory_stat, &self.memory_peak, &self.memory_events, &self.io_stat, &self.task_limit]
    }

    pub(super) fn read(&self, buffer: &mut Buffer) -> Result<Details, CounterError> {
        let cpu = self.cpu_stat.read(buffer)?.map(parse_cpu);
        let peak_bytes = self.memory_peak.number(buffer)?;
        let events = self.memory_events.read(buffer)?;
        let limit_hits = events.and_then(|text| parse::field(text, b"max"));
        let oom_kills = events.and_then(|text| parse::field(text, b"oom_kill"));
        let memory = self.memory_stat.read(buffer)?;
        Ok(Details {
            cpu,
            memory: memory.map(|text| MemoryDetails { peak_bytes, limit_hits, ..parse_memory(text) }),
            oom_kills,
            io: self.io_stat.read(buffer)?.map(parse_io).unwrap_or_default(),
            hugepages: read_hugepages(&self.hugepages, buffer)?,
            task_limit: self.task_limit.limit(buffer)?,
        })
    }
}

fn parse_cpu(text: &[u8]) -> CpuDetails {
    let mut cpu = CpuDetails::default();
    let nanoseconds = |microseconds: u64| microseconds.saturating_mul(NANOSECONDS_PER_MICROSECOND);
    for (key, value) in parse::fields(text) {
        match key {
            b"user_usec" => cpu.user_ns = nanoseconds(value),
            b"system_usec" => cpu.system_ns = nanoseconds(value),
            b"nr_periods" => cpu.periods = value,
            b"nr_throttled" => cpu.throttled_periods = value,
            b"throttled_usec" => cpu.throttled_ns = nanoseconds(value),
            _ => {}
        }
    }
    cpu
}

fn parse_memory(text: &[u8]) -> MemoryDetails {
    let mut memory = MemoryDetails::default();
    for (key, value) in parse::fields(text) {
        match key {
            b"file" => memory.cache_bytes = value,
            b"file_mapped" => memory.mapped_file_bytes = value,
            b"kernel" => memory.kernel_bytes = Some(value),
            _ => {}
        }
    }
    memory
}

/// Lines `major:minor rbytes=… wbytes=… rios=… wios=… …`. A device without counts has none of them.
fn parse_io(text: &[u8]) -> Vec<DeviceIo> {
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let mut io = DeviceIo { device: device_numbers(words.next()?)?, ..DeviceIo::default() };
        let mut counted = false;
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let place = match key {
                "rbytes" => &mut io.read_bytes,
                "wbytes" => &mut io.write_bytes,
                "rios" => &mut io.reads,
                "wios" => &mut io.writes,
                _ => continue,
            };
            *place = value.parse().ok()?;
            counted = true;
        }
        counted.then_some(io)
    };
    std::str::from_utf8(text).unwrap_or_default().lines().filter_map(line).collect()
}
