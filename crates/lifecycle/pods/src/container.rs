//! A container in memory: its record, what readers see of it, and how its end becomes known.
//!
//! Like a sandbox, its record is changed under its own lock in short sections, written, then published. Its state only
//! moves as [`crate::life`] says. An exit, whoever learns of it first, is recorded once.

pub(crate) mod checkpoint;
pub(crate) mod create;
pub(crate) mod exec;
pub(crate) mod image_volume;
pub(crate) mod mapped;
pub(crate) mod mounts;
pub(crate) mod remove;
pub(crate) mod restore;
mod rights;
pub(crate) mod session;
pub(crate) mod specify;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod update;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use crio_types::{ContainerId, ContainerState, ContainerStatus, ExitReason, Timestamp};
use oci_spec::runtime::Process;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, timeout};

use crate::PodError;
use crate::container::image_volume::Holds;
use crate::life::{Happening, next};
use crate::operation::lock;
use crate::record::{ContainerRecord, PodDirectory};
use crate::sandbox::Sandbox;

/// How long an end waits for the start it follows to be on record. The monitor has answered the start by then.
const START_SETTLES: Duration = Duration::from_secs(15);

/// How long a change of limits waits for those before it. The runtime has answered each of them by then.
const UPDATE_TURN: Duration = Duration::from_secs(60);

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Exit code, 128 + n after signal n.
    pub(crate) code: i32,
    /// When.
    pub(crate) finished_at: Timestamp,
    /// The kernel killed something in its memory cgroup.
    pub(crate) oom_killed: bool,
    /// What there is to say about it, for people; often nothing.
    pub(crate) message: String,
}

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the pod is there for.
    Workload,
    /// Holds the pod's PID namespace.
    Infra,
}

/// A container that was made.
#[derive(Debug)]
pub(crate) struct Container {
    id: ContainerId,
    name: String,
    sandbox: Arc<Sandbox>,
    /// What its first process was specified to be; every exec starts from it.
    process: Process,
    record: Mutex<ContainerRecord>,
    status: ArcSwap<ContainerStatus>,
    exited: watch::Sender<bool>,
    /// Its record is gone for good, so that a late change does not write it again. Changes under the record's lock.
    forgotten: AtomicBool,
    /// When the running stop will kill it; `None` while no stop runs.
    kill_at: watch::Sender<Option<Instant>>,
    /// Keeps the images it mounts from being removed.
    _holds: Holds,
    /// A start is between its call and its record.
    starting: watch::Sender<bool>,
    /// Changes of its limits take turns.
    updates: Semaphore,
}

impl Container {
    pub(crate) fn new(record: ContainerRecord, process: Process, sandbox: Arc<Sandbox>, holds: Holds) -> Self {
        Self {
            id: record.id.clone(),
            name: record.name.clone(),
            sandbox,
            process,
            status: ArcSwap::from_pointee(status(&record)),
            exited: watch::Sender::new(record.state == ContainerState::Exited),
            forgotten: AtomicBool::new(false),
            kill_at: watch::Sender::new(None),
            _holds: holds,
            starting: watch::Sender::new(false),
            updates: Semaphore::new(1),
            record: Mutex::new(record),
        }
    }

    pub(crate) fn id(&self) -> &ContainerId {
        &self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn kill_at(&self) -> &watch::Sender<Option<Instant>> {
        &self.kill_at
    }

    /// What readers see.
    pub(crate) fn status(&self) -> Arc<ContainerStatus> {
        self.status.load_full()
    }

    pub(crate) fn state(&self) -> ContainerState {
        self.status.load().state
    }

    /// A copy of the record.
    pub(crate) fn record(&self) -> ContainerRecord {
        lock(&self.record).clone()
    }

    pub(crate) fn is_infra(&self) -> bool {
        self.sandbox.infra().is_some_and(|infra| infra.id == self.id)
    }

    /// Changes the record, writes it and publishes what readers see of it. As for a sandbox, the change counts even
    /// when writing fails.
    pub(crate) fn change(&self, change: impl FnOnce(&mut ContainerRecord)) -> Result<(), PodError> {
        self.change_if(|record| {
            change(record);
            true
        })
        .map(drop)
    }

    /// As [`Container::change`], unless `change` says that nothing changed. Returns what it says.
    fn change_if(&self, change: impl FnOnce(&mut ContainerRecord) -> bool) -> Result<bool, PodError> {
        let mut record = lock(&self.record);
        if !change(&mut record) {
            return Ok(false);
        }
        self.publish(&record);
        if !self.forgotten.load(Ordering::Relaxed) {
            self.directory().write_container(&record)?;
        }
        Ok(true)
    }

    /// Removes its record; nothing writes it again.
    pub(crate) fn forget(&self) -> Result<(), PodError> {
        let _record = lock(&self.record);
        self.directory().remove_container(&self.id)?;
        self.forgotten.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The PID namespace its first process is in, for others to join.
    ///
    /// # Errors
    /// That process is gone; its number may be somebody else's by now.
    pub(crate) fn pid_namespace(&self) -> Result<PathBuf, PodError> {
        let record = self.record();
        match crio_sys::process::start_time(record.pid) {
            Ok(start_time) if start_time == record.start_time => {
                Ok(PathBuf::from(format!("/proc/{}/ns/pid", record.pid)))
            }
            _ => Err(PodError::NoPidNamespace { id: record.id.to_string() }),
        }
    }

    /// Records the process it has since it was made out of a checkpoint.
    pub(crate) fn restored(&self, pid: u32, start_time: u64) -> Result<(), PodError> {
        self.change(|record| {
            (record.pid, record.start_time) = (pid, start_time);
            record.awaits_restore = None;
            record.restored_at = Timestamp::now();
        })
    }

    /// Returns when it is to be stopped.
    pub(crate) async fn stop_asked(&self) {
        let mut kill_at = self.kill_at.subscribe();
        // The sender lives as long as `self`, so this cannot fail.
        let _closed = kill_at.wait_for(Option::is_some).await;
    }

    /// Records that its process was let go. Returns whether that was news.
    pub(crate) fn started(&self, at: Timestamp) -> Result<bool, PodError> {
        self.change_if(|record| {
            if record.started_at != Timestamp::NEVER {
                return false;
            }
            // The end of a short run may be known before its beginning is.
            let ended = record.state == ContainerState::Exited;
            record.started_at = if ended { at.min(record.finished_at) } else { at };
            record.state = next(record.state, Happening::Started);
            true
        })
    }

    /// Records its end. Returns whether it was news. Wakes everybody who waits for it, even when writing fails.
    pub(crate) fn ended(&self, exit: &Exit) -> Result<bool, PodError> {
        let written = self.change_if(|record| {
            if record.state == ContainerState::Exited {
                return false;
            }
            record.state = next(record.state, Happening::Exited);
            record.exit_code = exit.code;
            // A clock that stepped back must not make it end before it began.
            record.finished_at = exit.finished_at.max(record.started_at).max(record.created_at);
            record.reason = Some(reason(exit));
            if record.message.is_empty() {
                record.message.clone_from(&exit.message);
            }
            true
        });
        self.exited.send_replace(true);
        written
    }

    /// Records that it could not be started, which says more than how its process ended, whichever is known first.
    /// Returns whether its end was news.
    pub(crate) fn start_failed(&self, exit: &Exit) -> Result<bool, PodError> {
        let mut news = false;
        let written = self.change(|record| {
            news = record.state != ContainerState::Exited;
            record.state = next(record.state, Happening::Exited);
            record.exit_code = exit.code;
            record.finished_at = exit.finished_at.max(record.created_at);
            record.reason = Some(ExitReason::StartFailed);
            record.message.clone_from(&exit.message);
        });
        self.exited.send_replace(true);
        written.map(|()| news)
    }

    /// Says that a start is under way, until the answer is dropped.
    pub(crate) fn begin_start(&self) -> Starting<'_> {
        self.starting.send_replace(true);
        Starting(&self.starting)
    }

    /// Waits until no start is under way: an end that follows a start at once must not be told before it.
    pub(crate) async fn start_settled(&self) {
        let mut starting = self.starting.subscribe();
        // One that takes so long is told out of order, rather than that the pod's other ends wait for it.
        let _unsettled = timeout(START_SETTLES, starting.wait_for(|starting| !*starting)).await;
    }

    /// Waits until no other change of its limits is under way.
    ///
    /// # Errors
    /// That takes too long.
    pub(crate) async fn update_turn(&self) -> Result<SemaphorePermit<'_>, PodError> {
        match timeout(UPDATE_TURN, self.updates.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(PodError::Interrupted { operation: "UpdateContainerResources" }),
        }
    }

    /// Waits for its end. The end is on record when this returns.
    pub(crate) async fn wait_exit(&self) {
        let mut exited = self.exited.subscribe();
        // The sender lives as long as `self`, so this cannot fail.
        let _closed = exited.wait_for(|exited| *exited).await;
    }

    fn directory(&self) -> &PodDirectory {
        self.sandbox.directory()
    }

    fn publish(&self, record: &ContainerRecord) {
        self.status.store(Arc::new(status(record)));
    }
}

/// A start that is under way.
#[derive(Debug)]
pub(crate) struct Starting<'a>(&'a watch::Sender<bool>);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

/// OOM before everything: a container whose child the kernel killed ends as OOMKilled whatever its own code is.
fn reason(exit: &Exit) -> ExitReason {
    match exit {
        Exit { oom_killed: true, .. } => ExitReason::OomKilled,
        Exit { code: 0, .. } => ExitReason::Completed,
        Exit { .. } => ExitReason::Error,
    }
}

fn status(record: &ContainerRecord) -> ContainerStatus {
    ContainerStatus {
        id: record.id.clone(),
        sandbox_id: record.sandbox_id.clone(),
        metadata: record.config.metadata.clone(),
        state: record.state,
        created_at: record.created_at,
        started_at: record.started_at,
        finished_at: record.finished_at,
        exit_code: record.exit_code,
        reason: record.reason.clone(),
        message: record.message.clone(),
        image: crio_types::ImageSpec { image: record.image_name.clone(), ..record.config.image.clone() },
        image_ref: record.image_ref.clone(),
        image_id: record.image_id.clone(),
        labels: record.config.labels.clone(),
        annotations: record.config.annotations.clone(),
        mounts: record.mounts.clone(),
        log_path: record.log_path.display().to_string(),
        resources: record.resources.clone(),
        user: record.user.clone(),
        stop_signal: record.stop_signal,
    }
}
