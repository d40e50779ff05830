//! What the monitor answers and tells.

use crio_types::{ContainerId, Timestamp};
use serde::{Deserialize, Serialize};

/// One packet from the monitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The one answer to a call.
    Reply {
        /// The call's number.
        number: u64,
        /// How it went.
        result: Result<Answer, Failure>,
    },
    /// The terminal of an exec, as this message's descriptor. The exec's reply comes when it has ended.
    Console {
        /// The number of the call that began the exec.
        number: u64,
    },
    /// Something happened.
    Event(Event),
}

/// A successful answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The monitor's side of the hello.
    Hello {
        /// The version it speaks.
        version: u32,
        /// Its process id.
        pid: u32,
    },
    /// Done.
    Done,
    /// The container was made.
    Created {
        /// Its first process.
        pid: u32,
        /// When that started, in clock ticks since boot; with the id it names the process for ever.
        start_time: u64,
    },
    /// The exec ended.
    ExecExited {
        /// Exit code; 128 and the number of the signal that ended it.
        code: i32,
    },
    /// The attachment ended.
    AttachEnded(AttachEnd),
    /// Some containers.
    Containers {
        /// In the order of their ids.
        containers: Vec<ContainerEntry>,
        /// There are more after the last one.
        more: bool,
    },
}

/// Why an attachment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachEnd {
    /// The container ended.
    Exited,
    /// The client's input ended, or it closed its outputs.
    Closed,
    /// The client fell behind by more than its pipe holds, and was let go so that the container could go on.
    TooSlow,
    /// The client cancelled it.
    Cancelled,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What to tell people. At most a few kilobytes.
    pub message: String,
}

/// What kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// There is no such container.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// Its state forbids that.
    FailedPrecondition,
    /// The call makes no sense.
    InvalidArgument,
    /// A table is full.
    ResourceExhausted,
    /// The deadline passed, and what had begun was undone.
    DeadlineExceeded,
    /// The client cancelled it, and what had begun was ended.
    Cancelled,
    /// The runtime refused; the message is its own.
    Runtime,
    /// The operating system refused.
    Internal,
}

/// What the monitor tells without being asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A container's first process ended. Its log is complete and its exit is on record.
    Exited {
        /// Which container.
        id: ContainerId,
        /// How.
        exit: Exit,
    },
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code; 128 and the number of the signal that ended it.
    pub code: i32,
    /// The signal, if one ended it.
    pub signal: Option<u8>,
    /// When.
    pub finished_at: Timestamp,
    /// The out-of-memory killer ended it: the code is that of a kill and its cgroup counts one.
    pub oom: bool,
    /// How many processes of its cgroup the out-of-memory killer took.
    pub oom_kills: u64,
}

/// What the exit record holds, so that an exit is known even when nobody listened and the monitor is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Which container.
    pub id: ContainerId,
    /// How it ended.
    pub exit: Exit,
}

/// One container of the monitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerEntry {
    /// Its id.
    pub id: ContainerId,
    /// Its state.
    pub state: MonitorState,
    /// Its first process; 0 before it has one.
    pub pid: u32,
    /// When that process started, in clock ticks since boot.
    pub start_time: u64,
}

/// The state of a container, as its monitor knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonitorState {
    /// The runtime is making it.
    Creating,
    /// Made, not started.
    Created,
    /// Its process runs.
    Running,
    /// Its process ended.
    Exited(Exit),
}
