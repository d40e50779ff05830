//! A container, as its monitor knows it.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crio_monitor_protocol::{Exit, Failure, MonitorState, RuntimeCommand};
use crio_sys::process::{Ended, PidFd};
use crio_types::ContainerId;

use super::Caller;
use crate::console::ConsoleSocket;
use crate::log::Log;
use crate::record::Stream;
use crate::timers::Timer;

/// How deep below a container's cgroup its own cgroups are searched.
const CGROUP_DEPTH_MAX: usize = 16;
/// How often a cgroup is searched for processes that were forked meanwhile.
const SIGNAL_ROUNDS_MAX: usize = 32;

/// A container.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) id: ContainerId,
    pub(super) runtime: RuntimeCommand,
    pub(super) state: State,
    /// A start is under way. The end of the container, if it comes meanwhile, waits for the start's.
    pub(super) starting: bool,
    /// Its first process ended and that was not dealt with yet.
    pub(super) ended: Option<Ended>,
    pub(super) init: Option<Init>,
    pub(super) tty: bool,
    /// The near end of its output: a pipe, or its terminal.
    pub(super) stdout: Option<OwnedFd>,
    /// The near end of its error output, without a terminal.
    pub(super) stderr: Option<OwnedFd>,
    pub(super) input: Option<Input>,
    pub(super) stdin_once: bool,
    /// Its input is closed as soon as it took what is pending.
    pub(super) input_closing: bool,
    pub(super) log: Option<Log>,
    pub(super) cgroups: Vec<PathBuf>,
    /// Watched for out-of-memory kills.
    pub(super) oom_events: Option<File>,
    /// The most out-of-memory kills seen so far.
    pub(super) oom_kills: u64,
    pub(super) cleanup: Cleanup,
    pub(super) removers: Vec<Caller>,
    pub(super) removal_timer: Option<Timer>,
}

/// Where a container is in its life.
#[derive(Debug)]
pub(super) enum State {
    /// The runtime makes it.
    Creating { caller: Caller, pid_file: PathBuf, console: Option<ConsoleSocket>, keep_input: bool, restored: bool },
    /// It could not be made; what there is of it is being deleted.
    Failing { caller: Caller, failure: Failure },
    /// Made.
    Created,
    /// Started.
    Running,
    /// Over.
    Exited(Exit),
}

impl State {
    /// The state as clients see it; none for one that will never have been.
    pub(super) fn published(&self) -> Option<MonitorState> {
        match self {
            Self::Creating { .. } => Some(MonitorState::Creating),
            Self::Failing { .. } => None,
            Self::Created => Some(MonitorState::Created),
            Self::Running => Some(MonitorState::Running),
            Self::Exited(exit) => Some(MonitorState::Exited(*exit)),
        }
    }
}

/// A container's first process.
#[derive(Debug)]
pub(super) struct Init {
    pub(super) pid: u32,
    pub(super) start_time: u64,
    pub(super) handle: PidFd,
}

/// The near end of a container's input.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) descriptor: OwnedFd,
    /// What a client sent and the container did not take yet.
    pub(super) pending: VecDeque<u8>,
    /// Room for it is waited for.
    pub(super) watched: bool,
}

/// Whether the runtime still knows a container that is over.
#[derive(Debug)]
pub(super) enum Cleanup {
    /// It does.
    Due,
    /// It is deleting it.
    Running,
    /// It does not.
    Done,
    /// It failed to delete it.
    Failed,
}

impl Container {
    pub(super) fn output(&self, stream: Stream) -> Option<&OwnedFd> {
        match stream {
            Stream::Stdout => self.stdout.as_ref(),
            Stream::Stderr => self.stderr.as_ref(),
        }
    }

    pub(super) fn take_output(&mut self, stream: Stream) -> Option<OwnedFd> {
        match stream {
            Stream::Stdout => self.stdout.take(),
            Stream::Stderr => self.stderr.take(),
        }
    }

    /// Signals every process in its cgroup but the first one, including those that appear meanwhile.
    pub(super) fn signal_cgroup(&self, signal: u8) {
        let init = self.init.as_ref().map(|init| init.pid);
        let Some(cgroup) = self.cgroups.first() else { return };
        let mut signalled: BTreeSet<u32> = init.into_iter().collect();
        for _ in 0..SIGNAL_ROUNDS_MAX {
            let found = processes(cgroup, CGROUP_DEPTH_MAX);
            let new = found.into_iter().filter(|pid| !signalled.contains(pid));
            let handles: Vec<_> = new.filter_map(|pid| Some((pid, PidFd::open(pid).ok()?))).collect();
            if handles.is_empty() {
                return;
            }
            // Whoever is still listed now was in the cgroup when the handle was made: the number was not reused.
            let still = processes(cgroup, CGROUP_DEPTH_MAX);
            for (pid, handle) in handles.into_iter().filter(|(pid, _)| still.contains(pid)) {
                // A process that ends meanwhile needs no signal.
                drop(handle.signal(signal));
                signalled.insert(pid);
            }
        }
    }
}

/// The processes of a cgroup and those below it.
fn processes(cgroup: &Path, depth: usize) -> BTreeSet<u32> {
    let listed = std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let mut found: BTreeSet<u32> =
        listed.lines().filter_map(|line| line.parse().ok()).filter(|&pid| pid != 0).collect();
    if depth > 0
        && let Ok(entries) = std::fs::read_dir(cgroup)
    {
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            found.extend(processes(&entry.path(), depth - 1));
        }
    }
    found
}
