//! One control group as the collector sees it: counters that open themselves, and the sum of several.
//!
//! The reader is opened by the first reading and dropped when the kernel says that the group is gone, so a group that is made
//! anew under the same name is found again.

use std::time::{Duration, Instant};

use crio_cgroups::{CgroupPath, Cgroups, CounterReader, Counters};
use crio_types::{ContainerStats, CpuStats, MemoryStats};

use crate::rate::Rate;

/// A group whose counters are opened when they are first asked for, and again after the group was made anew.
#[derive(Debug)]
pub(crate) struct Group {
    path: CgroupPath,
    reader: Option<CounterReader>,
    rate: Rate,
}

impl Group {
    pub(crate) fn new(path: CgroupPath) -> Self {
        Self { path, reader: None, rate: Rate::default() }
    }

    /// A reading with its rate; `None` when the group does not exist or cannot be read.
    pub(crate) fn read(&mut self, cgroups: &Cgroups, rate_interval: Duration) -> Option<Counters> {
        if self.reader.is_none() {
            self.reader = self.known(CounterReader::open(cgroups, &self.path))?;
        }
        let reading = self.reader.as_ref()?.read();
        let Some(mut counters) = self.known(reading)? else {
            self.reader = None;
            self.rate = Rate::default();
            return None;
        };
        if let Some(cpu) = &mut counters.cpu {
            cpu.usage_nano_cores = self.rate.update(Instant::now(), cpu.usage_core_ns, rate_interval);
        }
        Some(counters)
    }

    /// One group that cannot be read must not spoil a list, so the reason goes to the log and the group counts as absent.
    fn known<T, E: std::error::Error + 'static>(&self, result: Result<T, E>) -> Option<T> {
        result
            .inspect_err(
                |error| tracing::debug!(cgroup = %self.path, error = crio_types::chain(error), "counters not read"),
            )
            .ok()
    }
}

/// Adds a container's counters to a pod's. Pressure does not add up and is left out.
pub(crate) fn add(sum: Counters, container: &ContainerStats, tasks: Option<u64>) -> Counters {
    Counters {
        cpu: both(sum.cpu, container.cpu, |a, b| CpuStats {
            timestamp: b.timestamp,
            usage_core_ns: a.usage_core_ns + b.usage_core_ns,
            usage_nano_cores: both(a.usage_nano_cores, b.usage_nano_cores, |a, b| a + b),
            pressure: None,
        }),
        memory: both(sum.memory, container.memory, |a, b| MemoryStats {
            timestamp: b.timestamp,
            working_set_bytes: a.working_set_bytes + b.working_set_bytes,
            available_bytes: None,
            usage_bytes: a.usage_bytes + b.usage_bytes,
            rss_bytes: a.rss_bytes + b.rss_bytes,
            page_faults: a.page_faults + b.page_faults,
            major_page_faults: a.major_page_faults + b.major_page_faults,
            pressure: None,
        }),
        swap: None,
        io: None,
        task_count: both(sum.task_count, tasks, |a, b| a + b),
    }
}

fn both<T>(a: Option<T>, b: Option<T>, add: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(add(a, b)),
        (a, b) => a.or(b),
    }
}
