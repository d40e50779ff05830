//! Details of cgroup v1.

use super::{CpuDetails, Details, DeviceIo, HugepageFiles, MemoryDetails, device, device_numbers, read_hugepages};
use crate::counter::legacy::Directory;
use crate::counter::{Buffer, Counter, CounterError, parse};
use crate::hierarchy::Hierarchies;
use crate::{CgroupPath, Controller};

#[derive(Debug)]
pub(in crate::counter) struct Files {
    cpu_user: Counter,
    cpu_system: Counter,
    cpu_stat: Counter,
    memory_stat: Counter,
    memory_peak: Counter,
    memory_limit_hits: Counter,
    memory_kernel: Counter,
    memory_oom: Counter,
    io_bytes: Counter,
    io_operations: Counter,
    task_limit: Counter,
    pub(super) hugepages: Vec<HugepageFiles>,
}

impl Files {
    pub(super) fn open(
        hierarchies: &Hierarchies,
        path: &CgroupPath,
        huge_page_sizes: Vec<String>,
    ) -> Result<Self, CounterError> {
        let of = |controller| Directory::of(hierarchies, controller, path);
        let (cpu, accounting, memory) = (of(Controller::Cpu), of(Controller::Cpuacct), of(Controller::Memory));
        let (io, pids, hugetlb) = (of(Controller::Io), of(Controller::Pids), of(Controller::Hugetlb));
        let hugepages = huge_page_sizes.into_iter().map(|page_size| {
            Ok(HugepageFiles {
                usage: hugetlb.open(format!("hugetlb.{page_size}.usage_in_bytes"))?,
                peak: hugetlb.open(format!("hugetlb.{page_size}.max_usage_in_bytes"))?,
                page_size,
            })
        });
        Ok(Self {
            cpu_user: accounting.open("cpuacct.usage_user")?,
            cpu_system: accounting.open("cpuacct.usage_sys")?,
            cpu_stat: cpu.open("cpu.stat")?,
            memory_stat: memory.open("memory.stat")?,
            memory_peak: memory.open("memory.max_usage_in_bytes")?,
            memory_limit_hits: memory.open("memory.failcnt")?,
            memory_kernel: memory.open("memory.kmem.usage_in_bytes")?,
            memory_oom: memory.open("memory.oom_control")?,
            io_bytes: io.open("blkio.throttle.io_service_bytes_recursive")?,
            io_operations: io.open("blkio.throttle.io_serviced_recursive")?,
            task_limit: pids.open("pids.max")?,
            hugepages: hugepages.collect::<Result<_, CounterError>>()?,
        })
    }

    pub(super) fn fixed(&self) -> [&Counter; 11] {
        [
            &self.cpu_user,
            &self.cpu_system,
            &self.cpu_stat,
            &self.memory_stat,
            &self.memory_peak,
            &self.memory_limit_hits,
            &self.memory_kernel,
            &self.memory_oom,
            &self.io_bytes,
            &self.io_operations,
            &self.task_limit,
        ]
    }

    pub(super) fn read(&self, buffer: &mut Buffer) -> Result<Details, CounterError> {
        Ok(Details {
            cpu: self.read_cpu(buffer)?,
            memory: self.read_memory(buffer)?,
            oom_kills: self.memory_oom.read(buffer)?.and_then(|text| parse::field(text, b"oom_kill")),
            io: self.read_io(buffer)?,
            hugepages: read_hugepages(&self.hugepages, buffer)?,
            task_limit: self.task_limit.limit(buffer)?,
        })
    }

    fn read_cpu(&self, buffer: &mut Buffer) -> Result<Option<CpuDetails>, CounterError> {
        let Some(user_ns) = self.cpu_user.number(buffer)? else {
            return Ok(None);
        };
        let mut cpu =
            CpuDetails { user_ns, system_ns: self.cpu_system.number(buffer)?.unwrap_or(0), ..CpuDetails::default() };
        for (key, value) in parse::fields(self.cpu_stat.read(buffer)?.unwrap_or_default()) {
            match key {
                b"nr_periods" => cpu.periods = value,
                b"nr_throttled" => cpu.throttled_periods = value,
                b"throttled_time" => cpu.throttled_ns = value,
                _ => {}
            }
        }
        Ok(Some(cpu))
    }

    fn read_memory(&self, buffer: &mut Buffer) -> Result<Option<MemoryDetails>, CounterError> {
        let mut memory = MemoryDetails {
            kernel_bytes: self.memory_kernel.number(buffer)?,
            peak_bytes: self.memory_peak.number(buffer)?,
            limit_hits: self.memory_limit_hits.number(buffer)?,
            ..MemoryDetails::default()
        };
        let Some(text) = self.memory_stat.read(buffer)? else {
            return Ok(None);
        };
        for (key, value) in parse::fields(text) {
            match key {
                b"total_cache" => memory.cache_bytes = value,
                b"total_mapped_file" => memory.mapped_file_bytes = value,
                b"pgfault" => memory.own_page_faults = Some(value),
                b"pgmajfault" => memory.own_major_page_faults = Some(value),
                _ => {}
            }
        }
        Ok(Some(memory))
    }

    fn read_io(&self, buffer: &mut Buffer) -> Result<Vec<DeviceIo>, CounterError> {
        let mut devices = Vec::new();
        for (numbers, operation, value) in operations(self.io_bytes.read(buffer)?.unwrap_or_default()) {
            match operation {
                "Read" => device(&mut devices, numbers).read_bytes = value,
                "Write" => device(&mut devices, numbers).write_bytes = value,
                _ => {}
            }
        }
        for (numbers, operation, value) in operations(self.io_operations.read(buffer)?.unwrap_or_default()) {
            match operation {
                "Read" => device(&mut devices, numbers).reads = value,
                "Write" => device(&mut devices, numbers).writes = value,
                _ => {}
            }
        }
        Ok(devices)
    }
}

/// Lines `major:minor operation value`; the sums at the end are passed over.
pub(super) fn operations(text: &[u8]) -> impl Iterator<Item = ((u32, u32), &str, u64)> {
    std::str::from_utf8(text).unwrap_or_default().lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        Some((device_numbers(words.next()?)?, words.next()?, words.next()?.parse().ok()?))
    })
}
