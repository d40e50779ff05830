//! The client of one pod's monitor: a cheap handle, shared by everybody who deals with the pod.
//!
//! Calls go out as they come and are answered in any order. A call that is dropped half-way is not undone, except exec
//! and attach, which end with their future. Every call has a deadline of its own at the monitor; here it gets a margin
//! on top, after which the monitor counts as unresponsive. When the monitor dies every waiting call fails at once with
//! [`MonitorError::Gone`] and [`Monitor::died`] returns.

mod attach;
mod checkpoint;
mod connection;
mod error;
mod exec;
mod pending;
mod spawn;
mod terminal;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crio_monitor_protocol::{Answer, Call, ContainerEntry, CreateContainer, Event, SignalScope};
use crio_types::{ContainerId, Signal};
use oci_spec::runtime::LinuxResources;
use tokio::sync::broadcast;

pub use attach::{AttachStdio, Attachment, attach_pipe};
pub use error::{ConnectError, ExecError, MonitorError, SpawnError};
pub use exec::{ExecLimits, ExecOutcome, ExecSession, ExecStdio, set_terminal_size};
pub use spawn::MonitorLaunch;
pub use terminal::Terminal;

pub(crate) use spawn::DEFAULT_PATH;

use crate::Handler;
use connection::Connection;

/// Time the monitor has for calls that run no runtime.
const SHORT_CALL: Duration = Duration::from_secs(10);
/// Time the runtime has to start a container.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Time the runtime has to change limits.
const UPDATE_LIMIT: Duration = Duration::from_secs(30);
/// Time the runtime has to delete a container.
const REMOVE_LIMIT: Duration = Duration::from_secs(60);

/// A handle of one monitor.
#[derive(Debug, Clone)]
pub struct Monitor {
    connection: Arc<Connection>,
}

/// Where a container's output is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Absolute path.
    pub path: PathBuf,
    /// Start over when it would grow past this many bytes; never when absent.
    pub size_max_bytes: Option<u64>,
}

/// What a container's standard streams are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stdio {
    /// A terminal instead of pipes.
    pub tty: bool,
    /// Keep the input open; `/dev/null` otherwise.
    pub stdin: bool,
    /// Close the input when the first attached client's ends.
    pub stdin_once: bool,
}

/// A container to be made.
#[derive(Debug, Clone)]
pub struct CreateRequest<'a> {
    /// Who makes it. Its `create_timeout` is the deadline.
    pub handler: &'a Handler,
    /// Its id.
    pub id: &'a ContainerId,
    /// The OCI bundle: a directory with `config.json`.
    pub bundle: &'a Path,
    /// Its log; `None` for no log.
    pub log: Option<LogFile>,
    /// Its standard streams.
    pub stdio: Stdio,
    /// Directories of its cgroup, the one that lists its processes first; each is read for out-of-memory kills.
    pub cgroups: Vec<PathBuf>,
    /// Directory of the pod's own cgroup, if it has one.
    pub pod_cgroup: Option<PathBuf>,
}

/// A container that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// Its first process.
    pub pid: u32,
    /// When that started, in clock ticks since boot.
    pub start_time: u64,
}

impl CreateRequest<'_> {
    /// The request as the monitor reads it.
    fn into_call(self) -> CreateContainer {
        let (log_path, log_size_max_bytes) = match self.log {
            Some(log) => (Some(log.path), log.size_max_bytes),
            None => (None, None),
        };
        CreateContainer {
            id: self.id.clone(),
            bundle: self.bundle.to_owned(),
            runtime: self.handler.runtime_command(),
            log_path,
            log_size_max_bytes,
            tty: self.stdio.tty,
            stdin: self.stdio.stdin,
            stdin_once: self.stdio.stdin_once,
            cgroups: self.cgroups,
            pod_cgroup: self.pod_cgroup,
            deadline_ms: milliseconds(self.handler.config.create_timeout),
        }
    }
}

impl Monitor {
    /// Starts a monitor in its own session and opens a connection to it. It outlives this process.
    ///
    /// # Errors
    /// Its directory cannot be used, it cannot be started, or it does not answer; nothing is left running then.
    pub async fn spawn(launch: &MonitorLaunch) -> Result<Self, SpawnError> {
        spawn::spawn(launch).await
    }

    /// Finds the monitor of the pod in `directory` again.
    ///
    /// # Errors
    /// There is none ([`ConnectError::Absent`]), or it does not answer.
    pub async fn connect(directory: &Path) -> Result<Self, ConnectError> {
        let connection = Connection::open(directory).await?;
        Ok(Self { connection })
    }

    /// The directory of its pod.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.connection.directory()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.connection.pid()
    }

    /// What the monitor tells from now on. Subscribe before [`Monitor::list`] and nothing is missed; a receiver that
    /// lags must list again.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.connection.events()
    }

    /// Returns when the monitor is gone.
    pub async fn died(&self) {
        self.connection.closed().await;
    }

    /// Whether the monitor is gone.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.connection.is_closed()
    }

    /// Makes a container. When it fails nothing of the container is left, in the runtime or as a process.
    ///
    /// # Errors
    /// The runtime's own words in [`MonitorError::Refused`], or the monitor is gone.
    pub async fn create(&self, request: CreateRequest<'_>) -> Result<Created, MonitorError> {
        let limit = request.handler.config.create_timeout;
        self.make("create", Call::Create(Box::new(request.into_call())), limit).await
    }

    /// A create that fails is followed by a delete before the answer comes.
    async fn make(&self, name: &'static str, call: Call, limit: Duration) -> Result<Created, MonitorError> {
        match self.connection.call(name, call, &[], limit + REMOVE_LIMIT).await? {
            Answer::Created { pid, start_time } => Ok(Created { pid, start_time }),
            _ => Err(MonitorError::Confused { call: name }),
        }
    }

    /// Starts a created container.
    ///
    /// # Errors
    /// The runtime's own words, such as that the program does not exist. The container then has an exit, too.
    pub async fn start(&self, id: &ContainerId) -> Result<(), MonitorError> {
        let call = Call::Start { id: id.clone(), deadline_ms: milliseconds(START_LIMIT) };
        self.done("start", call, START_LIMIT + SHORT_CALL).await
    }

    /// Sends a signal to a container.
    ///
    /// # Errors
    /// `NotFound` for an unknown container, `FailedPrecondition` for one that has ended.
    pub async fn signal(&self, id: &ContainerId, signal: Signal, scope: SignalScope) -> Result<(), MonitorError> {
        let call = Call::Signal { id: id.clone(), signal, scope };
        self.done("signal", call, SHORT_CALL).await
    }

    /// Changes a container's limits.
    ///
    /// # Errors
    /// The runtime's own words.
    pub async fn update(&self, id: &ContainerId, resources: &LinuxResources) -> Result<(), MonitorError> {
        let file = exec::json_file("resources", resources)
            .map_err(|source| MonitorError::Prepare { call: "update", source })?;
        let call = Call::Update { id: id.clone(), deadline_ms: milliseconds(UPDATE_LIMIT) };
        let limit = UPDATE_LIMIT + SHORT_CALL;
        self.connection.call("update", call, &[std::os::fd::AsFd::as_fd(&file)], limit).await.map(drop)
    }

    /// Opens a container's log anew; afterwards the file exists and no byte goes to the old one.
    ///
    /// # Errors
    /// The container does not run, or the file cannot be made; nothing was changed then.
    pub async fn reopen_log(&self, id: &ContainerId) -> Result<(), MonitorError> {
        self.done("reopen log", Call::ReopenLog { id: id.clone() }, SHORT_CALL).await
    }

    /// Sets the size of a container's terminal, in characters.
    ///
    /// # Errors
    /// The container has none.
    pub async fn resize(&self, id: &ContainerId, height: u16, width: u16) -> Result<(), MonitorError> {
        self.done("resize", Call::Resize { id: id.clone(), height, width }, SHORT_CALL).await
    }

    /// Ends a container if it still runs, deletes it from the runtime and makes the monitor forget it. An unknown
    /// container is no error.
    ///
    /// # Errors
    /// The runtime's own words; the monitor keeps the container then, and removing it may be tried again.
    pub async fn remove(&self, id: &ContainerId) -> Result<(), MonitorError> {
        let call = Call::Remove { id: id.clone(), deadline_ms: milliseconds(REMOVE_LIMIT) };
        self.done("remove", call, REMOVE_LIMIT + SHORT_CALL).await
    }

    /// Every container the monitor has.
    ///
    /// # Errors
    /// The monitor is gone.
    pub async fn list(&self) -> Result<Vec<ContainerEntry>, MonitorError> {
        let mut all: Vec<ContainerEntry> = Vec::new();
        loop {
            let after = all.last().map(|entry| entry.id.clone());
            match self.connection.call("list", Call::List { after }, &[], SHORT_CALL).await? {
                Answer::Containers { containers, more } => {
                    let progress = !containers.is_empty();
                    all.extend(containers);
                    if !(more && progress) {
                        return Ok(all);
                    }
                }
                _ => return Err(MonitorError::Confused { call: "list" }),
            }
        }
    }

    /// Ends the monitor.
    ///
    /// # Errors
    /// It still holds a container.
    pub async fn shutdown(&self) -> Result<(), MonitorError> {
        self.done("shutdown", Call::Shutdown, SHORT_CALL).await
    }

    async fn done(&self, name: &'static str, call: Call, limit: Duration) -> Result<(), MonitorError> {
        self.connection.call(name, call, &[], limit).await.map(drop)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
