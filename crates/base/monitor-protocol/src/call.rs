//! What a client asks of the monitor.

use std::path::PathBuf;

use crio_types::{ContainerId, Signal};
use serde::{Deserialize, Serialize};

/// One call, with the number its answer will carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the client; unique among its unanswered calls.
    pub number: u64,
    /// What is asked.
    pub call: Call,
}

/// A call of any version, as far as it takes to refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct AnyRequest {
    /// Its number.
    pub number: u64,
}

/// What is asked. A deadline is in milliseconds from the arrival of the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Opens the conversation. Answer: [`crate::Answer::Hello`].
    Hello {
        /// The version the client speaks.
        version: u32,
    },
    /// Makes a container. Answer: [`crate::Answer::Created`].
    Create(Box<CreateContainer>),
    /// Makes a container out of what [`Call::Checkpoint`] wrote; it runs at once. Answer: [`crate::Answer::Created`].
    Restore {
        /// The container.
        container: Box<CreateContainer>,
        /// Where its processes' state is read from.
        files: CheckpointFiles,
    },
    /// Starts a created container. Answer: [`crate::Answer::Done`].
    Start {
        /// Which.
        id: ContainerId,
        /// Time allowed.
        deadline_ms: u64,
    },
    /// Sends a signal. Answer: [`crate::Answer::Done`].
    Signal {
        /// Which container.
        id: ContainerId,
        /// The signal.
        signal: Signal,
        /// To whom.
        scope: SignalScope,
    },
    /// Runs a process in a running container. Descriptors: the process as JSON, then those that `streams` names, in the
    /// order standard input, output, error. With a terminal the streams are not passed: the terminal's master comes
    /// back with [`crate::Message::Console`]. Answer, once it ended: [`crate::Answer::ExecExited`].
    Exec {
        /// Which container.
        id: ContainerId,
        /// How its standard streams are connected.
        streams: ExecStreams,
        /// Time allowed for the whole of it; without one it may run for ever.
        deadline_ms: Option<u64>,
    },
    /// Ends the exec, the attachment or the checkpoint that the call of this number on this connection began; that call
    /// is then answered. Unknown numbers are ignored. Answer: [`crate::Answer::Done`].
    Cancel {
        /// The number of the earlier call.
        number: u64,
    },
    /// Changes limits. Descriptor: OCI `LinuxResources` as JSON. Answer: [`crate::Answer::Done`].
    Update {
        /// Which container.
        id: ContainerId,
        /// Time allowed.
        deadline_ms: u64,
    },
    /// Writes the state of a running container's processes; they go on. Ends with its client, and by
    /// [`Call::Cancel`]. Answer: [`crate::Answer::Done`].
    Checkpoint {
        /// Which container.
        id: ContainerId,
        /// Where the state is written to.
        files: CheckpointFiles,
        /// Time allowed.
        deadline_ms: u64,
    },
    /// Opens the log anew under its path. Answer, once no byte goes to the old file: [`crate::Answer::Done`].
    ReopenLog {
        /// Which container.
        id: ContainerId,
    },
    /// Connects streams to a running container: output from now on. Descriptors: those that `streams` names, in the
    /// order standard input, output, error. Answer, once it ended: [`crate::Answer::AttachEnded`].
    Attach {
        /// Which container.
        id: ContainerId,
        /// Which descriptors come along.
        streams: Streams,
    },
    /// Sets the size of the container's terminal. Answer: [`crate::Answer::Done`].
    Resize {
        /// Which container.
        id: ContainerId,
        /// Rows.
        height: u16,
        /// Columns.
        width: u16,
    },
    /// Ends the container if it runs, deletes it from the runtime and forgets it. An unknown one is no error.
    /// Answer: [`crate::Answer::Done`].
    Remove {
        /// Which.
        id: ContainerId,
        /// Time allowed.
        deadline_ms: u64,
    },
    /// Lists containers in the order of their ids. Answer: [`crate::Answer::Containers`].
    List {
        /// Only those after this one.
        after: Option<ContainerId>,
    },
    /// Ends the monitor, which must hold no container. Answer: [`crate::Answer::Done`].
    Shutdown,
}

/// The directories of a checkpoint. Absolute; both exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointFiles {
    /// The state of the processes.
    pub images: PathBuf,
    /// What the program that writes or reads it says about its work.
    pub work: PathBuf,
}

/// Who gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalScope {
    /// The container's first process.
    Init,
    /// Every process in the container's cgroup: what a container in a shared process namespace leaves behind does not
    /// end with its first process.
    All,
}

/// How an exec's standard streams are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecStreams {
    /// To a new terminal of the container.
    Terminal,
    /// To the descriptors that came along; those that did not are `/dev/null`.
    Passed(Streams),
}

/// Which of the three standard streams come as descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Streams {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

impl Streams {
    /// How many descriptors that makes.
    #[must_use]
    pub fn count(self) -> usize {
        usize::from(self.stdin) + usize::from(self.stdout) + usize::from(self.stderr)
    }
}

/// The OCI runtime, as a command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeCommand {
    /// Absolute path of the program.
    pub path: PathBuf,
    /// Its `--root`; the runtime's own default when absent.
    pub root: Option<PathBuf>,
    /// Further global arguments.
    pub arguments: Vec<String>,
    /// Pass `--systemd-cgroup`.
    pub systemd_cgroup: bool,
}

/// What a container needs to be made. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateContainer {
    /// Its id.
    pub id: ContainerId,
    /// The OCI bundle.
    pub bundle: PathBuf,
    /// The runtime.
    pub runtime: RuntimeCommand,
    /// Where its output is logged; nowhere when absent.
    pub log_path: Option<PathBuf>,
    /// Start the log file over when it would grow past this many bytes; never when absent.
    pub log_size_max_bytes: Option<u64>,
    /// It has a terminal.
    pub tty: bool,
    /// Keep its standard input open; `/dev/null` otherwise.
    pub stdin: bool,
    /// Close its standard input when the first attached client's ends.
    pub stdin_once: bool,
    /// Directories of its cgroup. The first is read for the processes in it, all of them for evidence of an
    /// out-of-memory kill. They need not exist yet.
    pub cgroups: Vec<PathBuf>,
    /// The directory of the pod's own cgroup, which outlives its containers'; absent when the pod shares it with others, and
    /// in the requests of older daemons.
    #[serde(default)]
    pub pod_cgroup: Option<PathBuf>,
    /// Time allowed, in milliseconds.
    pub deadline_ms: u64,
}
