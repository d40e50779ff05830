//! A pod sandbox in memory: its record, what readers see of it, and its containers.
//!
//! The record is changed only under its own lock, in short sections that neither wait nor call an engine; each change
//! is written to the pod's directory and then published, so that readers take the snapshot and never the lock.

pub(crate) mod files;
pub(crate) mod forward;
pub(crate) mod infra;
pub(crate) mod release;
pub(crate) mod remove;
pub(crate) mod run;
pub(crate) mod stop;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use crio_runtime::{Handler, Monitor};
use crio_types::{ContainerId, SandboxId, SandboxState, SandboxStatus};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::PodError;
use crate::container::{Container, Exit, Kind};
use crate::operation::lock;
use crate::record::{PodDirectory, SandboxRecord};

/// How long a stop waits for creations: a little more than the slowest runtime is given by default. A mount that hangs
/// must not hold the stop for ever.
const CREATIONS_TIMEOUT: Duration = Duration::from_secs(300);

/// What belongs to a sandbox, under one lock.
#[derive(Debug, Default)]
struct Members {
    containers: Vec<Arc<Container>>,
    infra: Option<Arc<Container>>,
    /// Ends of containers whose creation has not put them here yet. The creation takes its own out.
    early: Vec<(ContainerId, Exit)>,
}

/// A sandbox that was made.
#[derive(Debug)]
pub(crate) struct Sandbox {
    id: SandboxId,
    name: String,
    directory: PodDirectory,
    handler: Arc<Handler>,
    record: Mutex<SandboxRecord>,
    status: ArcSwap<SandboxStatus>,
    /// The pod's monitor, until the pod is released.
    monitor: ArcSwapOption<Monitor>,
    members: Mutex<Members>,
    /// Creations under way, which a stop waits for.
    creations: TaskTracker,
}

impl Sandbox {
    pub(crate) fn new(
        record: SandboxRecord,
        directory: PodDirectory,
        handler: Arc<Handler>,
        monitor: Option<Monitor>,
    ) -> Self {
        Self {
            id: record.id.clone(),
            name: record.name.clone(),
            directory,
            handler,
            status: ArcSwap::from_pointee(status(&record)),
            record: Mutex::new(record),
            monitor: ArcSwapOption::new(monitor.map(Arc::new)),
            members: Mutex::default(),
            creations: TaskTracker::new(),
        }
    }

    pub(crate) fn id(&self) -> &SandboxId {
        &self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn directory(&self) -> &PodDirectory {
        &self.directory
    }

    pub(crate) fn handler(&self) -> &Arc<Handler> {
        &self.handler
    }

    /// What readers see.
    pub(crate) fn status(&self) -> Arc<SandboxStatus> {
        self.status.load_full()
    }

    /// A copy of the record.
    pub(crate) fn record(&self) -> SandboxRecord {
        lock(&self.record).clone()
    }

    /// Changes the record, writes it and publishes what readers see of it. The change counts even when writing
    /// fails: memory is then newer than the file, and recovery errs towards unwinding again what is unwound.
    pub(crate) fn change(&self, change: impl FnOnce(&mut SandboxRecord)) -> Result<(), PodError> {
        let mut record = lock(&self.record);
        change(&mut record);
        self.status.store(Arc::new(status(&record)));
        self.directory.write_sandbox(&record)
    }

    /// Leaves the ready state. Returns whether it was in it.
    pub(crate) fn leave_ready(&self) -> Result<bool, PodError> {
        if self.status().state != SandboxState::Ready {
            return Ok(false);
        }
        let mut was_ready = false;
        self.change(|record| {
            was_ready = record.state == SandboxState::Ready;
            record.state = SandboxState::NotReady;
        })?;
        Ok(was_ready)
    }

    /// Whether what the pod held has been given back.
    pub(crate) fn is_released(&self) -> bool {
        lock(&self.record).released
    }

    /// The pod's monitor; `None` once the pod is being released, or the monitor is dead.
    pub(crate) fn monitor(&self) -> Option<Arc<Monitor>> {
        self.monitor.load_full().filter(|monitor| !monitor.is_dead())
    }

    /// Takes the monitor out. Done before a monitor is ended on purpose, so that its end is not taken for a death.
    pub(crate) fn take_monitor(&self) -> Option<Arc<Monitor>> {
        self.monitor.swap(None)
    }

    /// The monitor, for an operation that cannot do without.
    pub(crate) fn need_monitor(&self) -> Result<Arc<Monitor>, PodError> {
        self.monitor().ok_or_else(|| PodError::SandboxNotReady { id: self.id.to_string() })
    }

    /// The pause container, when the pod has one.
    pub(crate) fn infra(&self) -> Option<Arc<Container>> {
        lock(&self.members).infra.clone()
    }

    /// Its containers, the pause container not among them.
    pub(crate) fn containers(&self) -> Vec<Arc<Container>> {
        lock(&self.members).containers.clone()
    }

    /// Every container the monitor may report on.
    pub(crate) fn all_containers(&self) -> Vec<Arc<Container>> {
        let members = lock(&self.members);
        members.containers.iter().chain(&members.infra).cloned().collect()
    }

    /// Takes a container in. Answers its end when that was reported already.
    #[must_use]
    pub(crate) fn admit(&self, container: &Arc<Container>, kind: Kind) -> Option<Exit> {
        let mut members = lock(&self.members);
        match kind {
            Kind::Workload => members.containers.push(Arc::clone(container)),
            Kind::Infra => members.infra = Some(Arc::clone(container)),
        }
        let early = members.early.iter().position(|(id, _)| id == container.id())?;
        Some(members.early.swap_remove(early).1)
    }

    /// The container whose end was reported. When its creation has not put it here yet the end is kept for it.
    pub(crate) fn ended(&self, id: &ContainerId, exit: &Exit) -> Option<Arc<Container>> {
        let mut members = lock(&self.members);
        let found = members.containers.iter().chain(&members.infra).find(|container| container.id() == id).cloned();
        if found.is_none() {
            members.early.push((id.clone(), exit.clone()));
        }
        found
    }

    /// Lets a container go, whether it was taken in or only its end was kept.
    pub(crate) fn dismiss(&self, id: &ContainerId) {
        let mut members = lock(&self.members);
        members.containers.retain(|container| container.id() != id);
        members.infra.take_if(|infra| infra.id() == id);
        members.early.retain(|(early, _)| early != id);
    }

    /// Begins the creation of a container: refused unless the sandbox is ready, and waited for by a stop.
    pub(crate) fn begin_creation(&self) -> Result<TaskTrackerToken, PodError> {
        let record = lock(&self.record);
        if record.state != SandboxState::Ready {
            return Err(PodError::SandboxNotReady { id: self.id.to_string() });
        }
        // Taken under the record's lock: a stop that changed the state afterwards waits for this token.
        Ok(self.creations.token())
    }

    /// Waits until no creation is under way. Call it after the state is no longer ready.
    pub(crate) async fn creations_done(&self) -> Result<(), PodError> {
        self.creations.close();
        let waited = timeout(CREATIONS_TIMEOUT, self.creations.wait()).await;
        waited.map_err(|_| PodError::StillMaking { id: self.id.to_string(), waited_s: CREATIONS_TIMEOUT.as_secs() })
    }
}

fn status(record: &SandboxRecord) -> SandboxStatus {
    SandboxStatus {
        id: record.id.clone(),
        metadata: record.config.metadata.clone(),
        state: record.state,
        created_at: record.created_at,
        ips: record.ips(),
        namespaces: record.config.security.namespaces.clone(),
        labels: record.config.labels.clone(),
        annotations: record.config.annotations.clone(),
        runtime_handler: record.runtime_handler.clone(),
    }
}
