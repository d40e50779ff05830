//! The table of what is measured, and the answers in CRI's terms.
//!
//! Readers lock only long enough to take a reference out of the table; a reading locks its own container or sandbox, so a slow
//! group delays nobody else. All readings of one call happen in one piece of work on the blocking pool.
//!
//! Disk use of writable layers comes from a cache. Asking for it marks a stale value, and [`Collector::run`] measures what is
//! marked, one layer at a time; the answer meanwhile is the last known value, or nothing before the first.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use crio_cgroups::{Cgroups, Counters};
use crio_types::{ContainerId, ContainerStats, FilesystemUsage, SandboxId, SandboxStats, Timestamp};
use tokio::sync::Notify;

use crate::group::{Group, add};
use crate::{ContainerSubject, SandboxSubject, WritableLayer, layer};

/// How fresh answers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Readings closer together than this leave the processor rate standing.
    pub rate_interval: Duration,
    /// A writable layer is measured again, when someone asks, once its value is older than this.
    pub layer_age_max: Duration,
    /// Longest walk over one writable layer; what it has counted by then is reported.
    pub layer_walk_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rate_interval: Duration::from_secs(1),
            layer_age_max: Duration::from_secs(10),
            layer_walk_max: Duration::from_secs(10),
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
    cgroups: Arc<Cgroups>,
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

#[derive(Debug)]
struct Container {
    subject: ContainerSubject,
    group: Mutex<Group>,
    layer: ArcSwapOption<Measured>,
}

#[derive(Debug)]
struct Sandbox {
    subject: SandboxSubject,
    pod: Option<Mutex<Group>>,
    own: Mutex<Group>,
}

/// A finished measurement of a writable layer; `usage` is `None` when it failed.
#[derive(Debug)]
struct Measured {
    at: Instant,
    usage: Option<FilesystemUsage>,
}

impl Collector {
    /// A collector that knows nothing yet.
    #[must_use]
    pub fn new(cgroups: Arc<Cgroups>, config: Config) -> Self {
        Self {
            shared: Arc::new(Shared {
                cgroups,
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
        let container = Arc::new(Container {
            group: Mutex::new(Group::new(subject.cgroup.clone())),
            layer: ArcSwapOption::empty(),
            subject,
        });
        self.shared.mark_stale(&container);
        let mut table = lock(&self.shared.table);
        table.members.entry(sandbox_id).or_default().insert(id.clone(), Arc::clone(&container));
        table.containers.insert(id, container);
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
        let sandbox = Arc::new(Sandbox {
            pod: subject.pod_cgroup.clone().map(|path| Mutex::new(Group::new(path))),
            own: Mutex::new(Group::new(subject.sandbox_cgroup.clone())),
            subject,
        });
        lock(&self.shared.table).sandboxes.insert(id, sandbox);
    }

    /// Forgets a sandbox and closes its counters. Its containers are forgotten one by one.
    pub fn remove_sandbox(&self, id: &SandboxId) {
        lock(&self.shared.table).sandboxes.remove(id);
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

impl Container {
    /// The answer while the group exists.
    fn read_live(&self, shared: &Shared) -> Option<ContainerStats> {
        let counters = lock(&self.group).read(&shared.cgroups, shared.config.rate_interval)?;
        Some(self.answer(counters, shared))
    }

    fn read(&self, shared: &Shared) -> ContainerStats {
        let counters = lock(&self.group).read(&shared.cgroups, shared.config.rate_interval).unwrap_or_default();
        self.answer(counters, shared)
    }

    fn answer(&self, counters: Counters, shared: &Shared) -> ContainerStats {
        ContainerStats {
            id: self.subject.id.clone(),
            metadata: self.subject.metadata.clone(),
            labels: self.subject.labels.clone(),
            annotations: self.subject.annotations.clone(),
            cpu: counters.cpu,
            memory: counters.memory,
            swap: counters.swap,
            io: counters.io,
            writable_layer: self.layer_usage(shared),
        }
    }

    fn layer_usage(&self, shared: &Shared) -> Option<FilesystemUsage> {
        let measured = self.layer.load();
        let is_fresh = |measured: &Measured| measured.at.elapsed() < shared.config.layer_age_max;
        if !measured.as_deref().is_some_and(is_fresh) {
            shared.mark_stale(self);
        }
        measured.as_ref().and_then(|measured| measured.usage.clone())
    }

    fn measure_layer(&self, shared: &Shared) {
        let Some(WritableLayer { directory, mountpoint }) = &self.subject.writable_layer else {
            return;
        };
        let timestamp = Timestamp::now();
        let usage = layer::measure(directory, Instant::now() + shared.config.layer_walk_max)
            .inspect_err(|error| tracing::debug!(?directory, %error, "writable layer not measured"))
            .ok();
        let measured = Measured {
            at: Instant::now(),
            usage: usage.map(|usage| FilesystemUsage {
                timestamp,
                mountpoint: mountpoint.clone(),
                used_bytes: usage.bytes,
                inodes_used: usage.inodes,
            }),
        };
        self.layer.store(Some(Arc::new(measured)));
    }
}

impl Sandbox {
    fn read(&self, members: &[Arc<Container>], shared: &Shared) -> SandboxStats {
        let containers: Vec<(ContainerStats, Option<u64>)> = members
            .iter()
            .filter_map(|member| {
                let counters = lock(&member.group).read(&shared.cgroups, shared.config.rate_interval)?;
                Some((member.answer(counters, shared), counters.task_count))
            })
            .collect();
        let pod = self.pod.as_ref().and_then(|pod| lock(pod).read(&shared.cgroups, shared.config.rate_interval));
        let whole = pod.unwrap_or_else(|| {
            let own = lock(&self.own).read(&shared.cgroups, shared.config.rate_interval).unwrap_or_default();
            containers.iter().fold(own, |sum, (container, tasks)| add(sum, container, *tasks))
        });
        SandboxStats {
            id: self.subject.id.clone(),
            metadata: self.subject.metadata.clone(),
            labels: self.subject.labels.clone(),
            annotations: self.subject.annotations.clone(),
            cpu: whole.cpu,
            memory: whole.memory,
            io: whole.io,
            network: self.subject.network.as_ref().and_then(|read| read()),
            process_count: whole.task_count,
            containers: containers.into_iter().map(|(container, _)| container).collect(),
        }
    }
}

/// The tables hold plain values that are whole between any two statements, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
