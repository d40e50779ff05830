//! Why an operation on a pod or a container failed.
//!
//! One enum for the crate: the operations share their steps, and a step that failed keeps its engine's own error as
//! the source, with the engine's own kind. Several callers may wait for one operation, so errors travel in an `Arc`.

use std::sync::Arc;

use crio_types::{Classified, ContainerState, ErrorKind};

/// An engine's error, kept whole.
#[derive(Debug)]
pub struct Failure(Box<dyn Classified + Send + Sync>);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// What every public operation answers: the error is shared by all who joined the operation.
pub type Outcome<T> = Result<T, Arc<PodError>>;

/// Why an operation on a pod or a container failed.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// No sandbox has this id or a unique id with this prefix.
    #[error("pod sandbox {id:?} not found")]
    SandboxNotFound {
        /// As the caller wrote it.
        id: String,
    },
    /// No container has this id or a unique id with this prefix.
    #[error("container {id:?} not found")]
    ContainerNotFound {
        /// As the caller wrote it.
        id: String,
    },
    /// An empty id, or a prefix that several objects share.
    #[error("{what} id {id:?} {reason}")]
    BadId {
        /// `pod sandbox` or `container`.
        what: &'static str,
        /// As the caller wrote it.
        id: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A field of the request cannot be what it is.
    #[error("{field}: {reason}")]
    InvalidConfig {
        /// The field, as CRI names it.
        field: &'static str,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// The name belongs to an object, or an operation, with another configuration.
    #[error("name {name:?} is taken by {owner}, which has another configuration")]
    NameTaken {
        /// The name.
        name: String,
        /// What holds it.
        owner: String,
    },
    /// The pod wants a user namespace, which it cannot have here.
    #[error("pods of runtime handler {handler:?} cannot have user namespaces: {reason}")]
    UserNamespaces {
        /// The handler.
        handler: String,
        /// What is missing.
        reason: String,
    },
    /// The sandbox does not take containers any more.
    #[error("pod sandbox {id} is not ready")]
    SandboxNotReady {
        /// The sandbox.
        id: String,
    },
    /// Containers are still being made in a sandbox that is to be stopped.
    #[error("pod sandbox {id} still has containers being made after {waited_s} s")]
    StillMaking {
        /// The sandbox.
        id: String,
        /// Seconds waited.
        waited_s: u64,
    },
    /// The process whose PID namespace was to be joined is gone.
    #[error("container {id} does not hold its PID namespace any more")]
    NoPidNamespace {
        /// The container with the namespace.
        id: String,
    },
    /// What the runtime mounted is not what was found at the source before.
    #[error("mount {destination:?}: {source_path:?} was replaced while the container was made")]
    MountSwapped {
        /// The source.
        source_path: String,
        /// Where in the container.
        destination: String,
    },
    /// The container's state forbids the operation.
    #[error("cannot {operation} container {id}: it is {state:?}")]
    WrongState {
        /// What was asked.
        operation: &'static str,
        /// The container.
        id: String,
        /// Its state.
        state: ContainerState,
    },
    /// The container does not run, so nothing can run in it.
    #[error("container {id} is not running")]
    NotRunning {
        /// The container.
        id: String,
    },
    /// The pipes or the terminal between a client and a container could not be made.
    #[error("connecting the streams of container {id}")]
    Streams {
        /// The container.
        id: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A limit of this daemon is reached.
    #[error("limit reached: {what}")]
    LimitReached {
        /// Which, with its figure.
        what: String,
    },
    /// A step failed.
    #[error("{doing} for {of}")]
    Step {
        /// What was being done, as `creating the cgroup`.
        doing: &'static str,
        /// For which pod or container.
        of: String,
        /// The engine's error.
        #[source]
        source: Failure,
    },
    /// A step failed in a way that kubelet recognises by how the message begins, so nothing goes before it.
    #[error(transparent)]
    Recognised(Failure),
    /// A system call on a file of ours failed.
    #[error("{doing} {path}")]
    File {
        /// What was being done, as `writing`.
        doing: &'static str,
        /// On which path.
        path: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// Cleaning up failed in some steps; the others were done.
    #[error("cleaning up {of}: {}", join(failures))]
    Teardown {
        /// The pod or container.
        of: String,
        /// Every failure.
        failures: Vec<PodError>,
    },
    /// The configuration does not allow it.
    #[error(
        "checkpoints are not {what}: crio.conf does not enable that (enable_criu_support, container_level_enabled)"
    )]
    CheckpointsOff {
        /// `written` or `restored`.
        what: &'static str,
    },
    /// The runtime failed at a checkpoint, and what it runs for that knows why.
    #[error("{doing} for {of}: CRIU says: {said}")]
    Criu {
        /// What was being done.
        doing: &'static str,
        /// For which container.
        of: String,
        /// The last errors of CRIU's log.
        said: String,
        /// The runtime's error.
        #[source]
        source: Failure,
    },
    /// The request is for another container than the checkpoint is of.
    #[error("checkpoint {archive} cannot be restored so: {reason}")]
    CheckpointUnfit {
        /// The archive.
        archive: String,
        /// What differs.
        reason: String,
    },
    /// A checkpoint was given up, since its container is to end.
    #[error("the checkpoint of container {id} was given up: the container is being stopped")]
    CheckpointGivenUp {
        /// The container.
        id: String,
    },
    /// An operation that this one joined failed.
    #[error(transparent)]
    Joined(Arc<PodError>),
    /// The operation's task ended without an answer: it panicked or the daemon is shutting down.
    #[error("{operation} was interrupted")]
    Interrupted {
        /// Which operation.
        operation: &'static str,
    },
    /// A process did not end although it was killed.
    #[error("container {id} did not end {waited_s} s after SIGKILL (process {pid} is in state {state})")]
    Unkillable {
        /// The container.
        id: String,
        /// Its first process.
        pid: u32,
        /// The kernel's letter for the process state.
        state: char,
        /// Seconds waited.
        waited_s: u64,
    },
}

impl PodError {
    /// Wraps an engine's error with the step it happened in. Kind `Unknown` is that of the messages kubelet recognises.
    pub(crate) fn step<E>(doing: &'static str, of: impl std::fmt::Display) -> impl FnOnce(E) -> Self
    where
        E: Classified + Send + Sync + 'static,
    {
        let of = of.to_string();
        move |source| match source.kind() {
            ErrorKind::Unknown => Self::Recognised(Failure(Box::new(source))),
            _ => Self::Step { doing, of, source: Failure(Box::new(source)) },
        }
    }

    /// Wraps the error of a runtime that ran CRIU with the last words of CRIU's log, if there are any.
    pub(crate) fn criu(
        doing: &'static str,
        of: String,
        said: Option<String>,
        source: crio_runtime::MonitorError,
    ) -> Self {
        match said {
            Some(said) => Self::Criu { doing, of, said, source: Failure(Box::new(source)) },
            None => Self::step(doing, of)(source),
        }
    }

    /// Wraps a file error with its path.
    pub(crate) fn file(doing: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { doing, path, source }
    }

    /// `Ok` when nothing failed, otherwise one error that names every failure.
    pub(crate) fn teardown(of: impl std::fmt::Display, failures: Vec<Self>) -> Result<(), Self> {
        if failures.is_empty() { Ok(()) } else { Err(Self::Teardown { of: of.to_string(), failures }) }
    }
}

impl From<Arc<PodError>> for PodError {
    fn from(error: Arc<PodError>) -> Self {
        Self::Joined(error)
    }
}

fn join(failures: &[PodError]) -> String {
    failures.iter().map(|failure| crio_types::chain(failure)).collect::<Vec<_>>().join("; ")
}

impl Classified for PodError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::SandboxNotFound { .. } | Self::ContainerNotFound { .. } | Self::NotRunning { .. } => {
                ErrorKind::NotFound
            }
            Self::BadId { .. } | Self::InvalidConfig { .. } => ErrorKind::InvalidArgument,
            Self::NameTaken { .. } => ErrorKind::AlreadyExists,
            Self::SandboxNotReady { .. }
            | Self::WrongState { .. }
            | Self::NoPidNamespace { .. }
            | Self::MountSwapped { .. }
            | Self::UserNamespaces { .. }
            | Self::CheckpointUnfit { .. }
            | Self::CheckpointGivenUp { .. } => ErrorKind::FailedPrecondition,
            Self::CheckpointsOff { .. } => ErrorKind::Unimplemented,
            Self::StillMaking { .. } => ErrorKind::DeadlineExceeded,
            Self::LimitReached { .. } => ErrorKind::ResourceExhausted,
            Self::Step { source, .. } | Self::Criu { source, .. } | Self::Recognised(source) => source.0.kind(),
            Self::Teardown { failures, .. } => failures.first().map_or(ErrorKind::Internal, Self::kind),
            Self::Joined(error) => error.kind(),
            Self::Interrupted { .. } => ErrorKind::Unavailable,
            Self::Streams { .. } | Self::File { .. } | Self::Unkillable { .. } => ErrorKind::Internal,
        }
    }
}
