//! One control group as the collector sees it: counters that open themselves, and the sum of several.
//!
//! The reader is opened by the first reading and dropped when the kernel says that the group is gone, so a group that is made
//! anew under the same name is found again. Within the collection period the last reading stands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crio_cgroups::{CgroupPath, Cgroups, CounterReader, Counters, Details};
use crio_types::{ContainerStats, CpuStats, MemoryStats};

use crate::budget::{Budget, Claim};
use crate::rate::Rate;

/// What readings need beside the group.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) cgroups: Arc<Cgroups>,
    pub(crate) budget: Budget,
    pub(crate) rate_interval: Duration,
    pub(crate) collection_period: Duration,
}

impl Source {
    /// Whether what was read at `at` still stands.
    pub(crate) fn stands(&self, at: Instant) -> bool {
        !self.collection_period.is_zero() && at.elapsed() < self.collection_period
    }
}

/// A group whose counters are opened when they are first asked for, and again after the group was made anew.
#[derive(Debug)]
pub(crate) struct Group {
    path: CgroupPath,
    open: Option<Open>,
    rate: Rate,
    counters: Option<(Instant, Counters)>,
    details: Option<(Instant, Details)>,
}

/// Counters that stay open.
#[derive(Debug)]
struct Open {
    reader: CounterReader,
    _claim: Claim,
}

impl Group {
    pub(crate) fn new(path: CgroupPath) -> Self {
        Self { path, open: None, rate: Rate::default(), counters: None, details: None }
    }

    /// Closes the files; a later reading opens them again.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    /// A reading with its rate; `None` when the group does not exist or cannot be read.
    pub(crate) fn read(&mut self, source: &Source) -> Option<Counters> {
        if let Some((_, counters)) = self.counters.filter(|(at, _)| source.stands(*at)) {
            return Some(counters);
        }
        self.counters = None;
        let now = Instant::now();
        let Some(mut counters) = self.with_reader(source, |reader, _| reader.read()) else {
            self.rate = Rate::default();
            return None;
        };
        if let Some(cpu) = &mut counters.cpu {
            cpu.usage_nano_cores = self.rate.update(now, cpu.usage_core_ns, source.rate_interval);
        }
        self.counters = Some((now, counters));
        Some(counters)
    }

    /// What only metrics tell; `None` as for [`Group::read`].
    pub(crate) fn read_details(&mut self, source: &Source) -> Option<Details> {
        if let Some((at, details)) = &self.details
            && source.stands(*at)
        {
            return Some(details.clone());
        }
        self.details = None;
        let now = Instant::now();
        let details = self.with_reader(source, |reader, path| reader.read_details(&source.cgroups, path))?;
        self.details = (!source.collection_period.is_zero()).then(|| (now, details.clone()));
        Some(details)
    }

    /// Reads with the open files, or opens them for it. They stay open as long as the group is there and the budget allows.
    fn with_reader<T, E: std::error::Error + 'static>(
        &mut self,
        source: &Source,
        read: impl FnOnce(&mut CounterReader, &CgroupPath) -> Result<Option<T>, E>,
    ) -> Option<T> {
        let mut reader = match self.open.take() {
            Some(open) => open.reader,
            None => self.known(CounterReader::open(&source.cgroups, &self.path))?,
        };
        let reading = self.known(read(&mut reader, &self.path))?;
        let claim = source.budget.claim(reader.open_files());
        self.open = claim.map(|claim| Open { reader, _claim: claim });
        Some(reading)
    }

    /// One group that cannot be read must not spoil a list, so the reason goes to the log and the group counts as absent.
    fn known<T, E: std::error::Error + 'static>(&self, result: Result<Option<T>, E>) -> Option<T> {
        let failed = |error: &E| {
            tracing::debug!(cgroup = %self.path, error = crio_types::chain(error), "counters not read");
        };
        result.inspect_err(failed).ok().flatten()
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
