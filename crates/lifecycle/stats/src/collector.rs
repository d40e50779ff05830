//! The table of what is measured, and the answers in CRI's terms.
//!
//! Readers lock only long enough to take a reference out of the table; a reading locks its own container or sandbox, so a slow
//! group delays nobody else. All readings of one call happen in one piece of work on the blocking pool.
//!
//! Disk use of writable layers comes from a cache. Asking for it marks a stale value, and [`Collector::run`] measures what is
//! marked, one layer at a time; the answer meanwhile is the last known value, or nothing before the first.

mod container;
mod metrics;
mod sandbox;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crio_cgroups::Cgroups;
use crio_types::{ContainerId, ContainerStats, SandboxId, SandboxStats};
use rustix::process::{Resource, getrlimit};
use tokio::sync::Notify;

use crate::budget::Budget;
use crate::group::Source;
use crate::{ContainerSubject, MetricGroups, SandboxSubject};

use container::Container;
pub use metrics::MeasuredPod;
use sandbox::Sandbox;

/// The share of the process's open files that counters may take: one part in this many.
const OPEN_FILES_PART: u64 = 2;
/// The most files counters keep open when the process may open any number.
const OPEN_FILES_MAX: u64 = 100_000;

/// How fresh answers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Readings closer together than this leave the processor rate standing.
    pub rate_interval: Duration,
    /// A writable layer is measured again, when someone asks, once its value is older than this.
    pub layer_age_max: Duration,
    /// Longest walk over one writable layer; what it has counted by then is reported.
    pub layer_walk_max: Duration,
    /// Answers may be this old (`collection_period`); zero reads anew for every one.
    pub collection_period: Duration,
    /// Which metrics there are (`included_pod_metrics`).
    pub metric_groups: MetricGroups,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rate_interval: Duration::from_secs(1),
            layer_age_max: Duration::from_secs(10),
            layer_walk_max: Duration::from_secs(10),
            collection_period: Duration::ZERO,
            metric_groups: MetricGroups::default(),
        }
    }
}

/// Keeps the counters of all sandboxes and containers at hand. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Collector {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    source: Source,
    config: Config,
    table: Mutex<Table>,
    /// Containers whose layer should be measured.
    stale: Mutex<BTreeSet<ContainerId>>,
    stale_added: Notify,
}

#[derive(Debug, Default)]
struct Table {
    containers: HashMap<ContainerId, Arc<Container>>,
    sandboxes: HashMap<SandboxId, Arc<Sandbox>>,
    /// Containers by sandbox, in the order of their ids.
    members: HashMap<SandboxId, BTreeMap<ContainerId, Arc<Container>>>,
}

impl Collector {
    /// A collector that knows nothing yet.
    #[must_use]
    pub fn new(cgroups: Arc<Cgroups>, config: Config) -> Self {
        Self {
            shared: Arc::new(Shared {
                source: Source {
                    cgroups,
                    budget: Budget::new(open_files_limit()),
                    rate_interval: config.rate_interval,
                    collection_period: config.collection_period,
                },
                config,
                table: Mutex::default(),
                stale: Mutex::default(),
                stale_added: Notify::new(),
            }),
        }
    }

    /// Makes a container known, and has its writable layer measured. A container of the same id is replaced.
    pub fn add_container(&self, subject: ContainerSubject) {
        let id = subject.id.clone();
        let sandbox_id = subject.sandbox_id.clone();
        let container = Arc::new(Container::new(subject));
        self.shared.mark_stale(&container);
        let mut table = lock(&self.shared.table);
        table.members.entry(sandbox_id).or_default().insert(id.clone(), Arc::clone(&container));
        table.containers.insert(id, container);
    }

    /// Says that a container has ended. Its counters are closed, and its pod's statistics leave it out; whoever asks for it by
    /// its id has them opened again.
    pub fn container_ended(&self, id: &ContainerId) {
        let container = lock(&self.shared.table).containers.get(id).cloned();
        if let Some(container) = container {
            container.end();
        }
    }

    /// Forgets a container and closes its counters.
    pub fn remove_container(&self, id: &ContainerId) {
        lock(&self.shared.stale).remove(id);
        let mut table = lock(&self.shared.table);
        let Some(container) = table.containers.remove(id) else {
            return;
        };
        let sandbox_id = &container.subject.sandbox_id;
        if let Some(members) = table.members.get_mut(sandbox_id) {
            members.remove(id);
            if members.is_empty() {
                table.members.remove(sandbox_id);
            }
        }
    }

    /// Makes a sandbox known. A sandbox of the same id is replaced.
    pub fn add_sandbox(&self, subject: SandboxSubject) {
        let id = subject.id.clone();
        lock(&self.shared.table).sandboxes.insert(id, Arc::new(Sandbox::new(subject)));
    }

    /// Gives back what keeps a sandbox's network namespace alive. To be called before the namespace is removed; afterwards its
    /// network has no counters.
    pub fn network_ends(&self, id: &SandboxId) {
        let sandbox = lock(&self.shared.table).sandboxes.get(id).cloned();
        if let Some(sandbox) = sandbox {
            sandbox.close_network();
        }
    }

    /// Forgets a sandbox and closes its counters. Its containers are forgotten one by one.
    pub fn remove_sandbox(&self, id: &SandboxId) {
        let sandbox = lock(&self.shared.table).sandboxes.remove(id);
        if let Some(sandbox) = sandbox {
            sandbox.close_network();
        }
    }

    /// What one container uses; `None` when it is not known. A container whose group is gone has no processor or memory part.
    pub async fn container(&self, id: &ContainerId) -> Option<ContainerStats> {
        let container = lock(&self.shared.table).containers.get(id).cloned()?;
        self.blocking(move |shared| Some(container.read(shared))).await
    }

    /// What these containers use, in this order. Unknown ones and those whose group is gone are left out.
    pub async fn containers(&self, ids: &[ContainerId]) -> Vec<ContainerStats> {
        let containers: Vec<Arc<Container>> = {
            let table = lock(&self.shared.table);
            ids.iter().filter_map(|id| table.containers.get(id).cloned()).collect()
        };
        self.blocking(move |shared| containers.iter().filter_map(|container| container.read_live(shared)).collect())
            .await
    }

    /// What one pod uses; `None` when it is not known.
    pub async fn sandbox(&self, id: &SandboxId) -> Option<SandboxStats> {
        self.sandboxes(std::slice::from_ref(id)).await.pop()
    }

    /// What these pods use, in this order. Unknown ones are left out. Containers whose group is gone are left out of their pod.
    pub async fn sandboxes(&self, ids: &[SandboxId]) -> Vec<SandboxStats> {
        let pods: Vec<(Arc<Sandbox>, Vec<Arc<Container>>)> = {
            let table = lock(&self.shared.table);
            let members = |id| table.members.get(id).map(|members| members.values().cloned().collect());
            let pod = |id| Some((table.sandboxes.get(id)?.clone(), members(id).unwrap_or_default()));
            ids.iter().filter_map(pod).collect()
        };
        self.blocking(move |shared| pods.iter().map(|(sandbox, members)| sandbox.read(members, shared)).collect()).await
    }

    /// Measures writable layers, as they become stale, for ever. The daemon owns the task that runs this, and drops it to end it.
    pub async fn run(&self) {
        loop {
            let next = lock(&self.shared.stale).pop_first();
            let Some(id) = next else {
                self.shared.stale_added.notified().await;
                continue;
            };
            let container = lock(&self.shared.table).containers.get(&id).cloned();
            if let Some(container) = container {
                self.blocking(move |shared| container.measure_layer(shared)).await;
            }
        }
    }

    async fn blocking<T, F>(&self, work: F) -> T
    where
        T: Default + Send + 'static,
        F: FnOnce(&Shared) -> T + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The executor is shutting down and takes no more work.
                Err(_) => T::default(),
            },
        }
    }
}

impl Shared {
    fn mark_stale(&self, container: &Container) {
        if container.subject.writable_layer.is_some() {
            lock(&self.stale).insert(container.subject.id.clone());
            self.stale_added.notify_one();
        }
    }
}

/// The tables hold plain values that are whole between any two statements, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A part of what this process may open, so that there is always room for what it is there for.
fn open_files_limit() -> usize {
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(OPEN_FILES_MAX);
    usize::try_from((allowed / OPEN_FILES_PART).min(OPEN_FILES_MAX)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
