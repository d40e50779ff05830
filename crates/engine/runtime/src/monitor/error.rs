//! What can go wrong between the daemon and a monitor.

use std::path::PathBuf;
use std::time::Duration;

use crio_monitor_protocol::{CodecError, Failure, FailureKind};
use crio_types::{Classified, ErrorKind};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The monitor is gone. What it did about this call is not known.
    #[error("the monitor of {} is gone", directory.display())]
    Gone {
        /// The pod's directory.
        directory: PathBuf,
    },
    /// The monitor did not answer in time.
    #[error("the monitor did not answer {call} within {} s", waited.as_secs())]
    Unresponsive {
        /// The call.
        call: &'static str,
        /// How long it had.
        waited: Duration,
    },
    /// The monitor, or the runtime through it, refused. The message is for people.
    #[error("{message}")]
    Refused {
        /// What kind of refusal.
        failure: FailureKind,
        /// The reason.
        message: String,
    },
    /// The monitor is older than the call.
    #[error(
        "the monitor of this pod is of an older version, which knows no {call}; pods made from now on have a newer one"
    )]
    Outdated {
        /// The call.
        call: &'static str,
    },
    /// The call could not be written.
    #[error("cannot write the call {call}")]
    Encode {
        /// The call.
        call: &'static str,
        /// Why.
        source: CodecError,
    },
    /// The call could not be sent.
    #[error("cannot send the call {call}")]
    Send {
        /// The call.
        call: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A pipe or memory file for the call could not be made.
    #[error("cannot prepare the call {call}")]
    Prepare {
        /// The call.
        call: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The monitor answered something else than what was asked.
    #[error("the monitor's answer to {call} makes no sense")]
    Confused {
        /// The call.
        call: &'static str,
    },
}

impl From<Failure> for MonitorError {
    fn from(failure: Failure) -> Self {
        Self::Refused { failure: failure.kind, message: failure.message }
    }
}

impl Classified for MonitorError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Gone { .. } => ErrorKind::Unavailable,
            Self::Unresponsive { .. } => ErrorKind::DeadlineExceeded,
            Self::Refused { failure, .. } => refused_kind(*failure),
            Self::Outdated { .. } => ErrorKind::Unimplemented,
            Self::Encode { .. } => ErrorKind::InvalidArgument,
            Self::Send { .. } | Self::Prepare { .. } | Self::Confused { .. } => ErrorKind::Internal,
        }
    }
}

fn refused_kind(failure: FailureKind) -> ErrorKind {
    match failure {
        FailureKind::NotFound => ErrorKind::NotFound,
        FailureKind::AlreadyExists => ErrorKind::AlreadyExists,
        FailureKind::FailedPrecondition => ErrorKind::FailedPrecondition,
        FailureKind::InvalidArgument => ErrorKind::InvalidArgument,
        FailureKind::ResourceExhausted => ErrorKind::ResourceExhausted,
        FailureKind::DeadlineExceeded => ErrorKind::DeadlineExceeded,
        FailureKind::Cancelled => ErrorKind::Cancelled,
        FailureKind::Runtime => ErrorKind::Internal,
        FailureKind::Internal => ErrorKind::Internal,
    }
}

/// Why there is no connection to a monitor.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens: the monitor is gone, or never was.
    #[error("no monitor listens in {}", directory.display())]
    Absent {
        /// The pod's directory.
        directory: PathBuf,
    },
    /// The socket cannot be used.
    #[error("cannot connect to the monitor in {}", directory.display())]
    Connect {
        /// The pod's directory.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It does not answer, or not as a monitor does.
    #[error("the monitor in {} did not greet", directory.display())]
    Greeting {
        /// The pod's directory.
        directory: PathBuf,
        /// Why.
        source: MonitorError,
    },
}

impl Classified for ConnectError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Absent { .. } => ErrorKind::NotFound,
            Self::Connect { .. } => ErrorKind::Internal,
            Self::Greeting { source, .. } => source.kind(),
        }
    }
}

/// Why a monitor could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// Its directory or socket cannot be made.
    #[error("cannot prepare {} for a monitor", directory.display())]
    Prepare {
        /// The pod's directory.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is one already.
    #[error("a monitor already runs in {}", directory.display())]
    Running {
        /// The pod's directory.
        directory: PathBuf,
    },
    /// The program cannot be run.
    #[error("cannot run the monitor {}", binary.display())]
    Run {
        /// The program.
        binary: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It started and failed.
    #[error("the monitor {} failed to start: {said}", binary.display())]
    Failed {
        /// The program.
        binary: PathBuf,
        /// What it said.
        said: String,
        /// Why there is no conversation.
        source: ConnectError,
    },
}

impl Classified for SpawnError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Prepare { .. } | Self::Run { .. } | Self::Failed { .. } => ErrorKind::Internal,
            Self::Running { .. } => ErrorKind::AlreadyExists,
        }
    }
}

/// Why an exec failed.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// It did not end in time. Nothing of it runs any more.
    #[error("command timed out after {} ms", limit.as_millis())]
    TimedOut {
        /// The time it had.
        limit: Duration,
    },
    /// Its output could not be read.
    #[error("cannot read the output of the command")]
    Output {
        /// Why.
        source: std::io::Error,
    },
    /// It could not be run.
    #[error("cannot run the command in the container")]
    Call {
        /// Why.
        source: MonitorError,
    },
}

impl Classified for ExecError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::TimedOut { .. } => ErrorKind::DeadlineExceeded,
            Self::Output { .. } => ErrorKind::Internal,
            Self::Call { source } => source.kind(),
        }
    }
}
