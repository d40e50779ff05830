//! Who is in a group, and ending all of them.
//!
//! Signals go through pidfds taken *before* the member list is read a second time, and only to processes on both lists: an id
//! that was reused in between is never hit. On v2 the kernel kills a whole group itself (`cgroup.kill`); on v1 the group is
//! frozen while it is signalled, so that it cannot fork its way out. Waiting is for pidfds to become readable, never by asking
//! again and again.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind as Io};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crio_types::{Classified, ErrorKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::directory::subdirectories;
use crate::{CgroupPath, Cgroups, Controller};

/// How long one round of killing waits before it looks for processes that were forked meanwhile.
const ROUND: Duration = Duration::from_millis(100);
/// Descriptors held at once while signalling or waiting; more processes are taken in turns.
const PIDFDS_MAX: usize = 256;

/// A member list could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the processes of {}", directory.display())]
pub struct ProcessesError {
    /// The group's directory.
    pub directory: PathBuf,
    /// What the kernel said.
    pub source: io::Error,
}

impl Classified for ProcessesError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

/// A group could not be emptied.
#[derive(Debug, thiserror::Error)]
pub enum KillError {
    /// The members are not known.
    #[error("cannot end the processes of {path}")]
    Processes {
        /// The group.
        path: CgroupPath,
        /// Why.
        source: ProcessesError,
    },
    /// They were all sent SIGKILL, and the kernel has not let go of some.
    #[error("{} processes of {path} are still there after SIGKILL, the first is {first}", count)]
    StillRunning {
        /// The group.
        path: CgroupPath,
        /// How many.
        count: usize,
        /// One of them.
        first: i32,
    },
}

impl Classified for KillError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Processes { .. } => ErrorKind::Internal,
            Self::StillRunning { .. } => ErrorKind::DeadlineExceeded,
        }
    }
}

impl Cgroups {
    /// The processes in the group and in all groups inside it, over every hierarchy. A group that does not exist has none.
    ///
    /// # Errors
    /// The kernel refuses to list a group that exists.
    pub fn processes(&self, path: &CgroupPath) -> Result<Vec<Pid>, ProcessesError> {
        let mut found = BTreeSet::new();
        for directory in self.directories(path) {
            match processes_below(&directory) {
                Ok(processes) => found.extend(processes.iter().map(|pid| pid.as_raw_nonzero())),
                Err(source) => return Err(ProcessesError { directory, source }),
            }
        }
        Ok(found.into_iter().map(|raw| Pid::from_raw(raw.get()).expect("it came from a Pid")).collect())
    }

    /// As [`Cgroups::processes`], from the one hierarchy that counts tasks: cheaper, for those who count and do not kill.
    ///
    /// # Errors
    /// As [`Cgroups::processes`].
    pub fn counted_processes(&self, path: &CgroupPath) -> Result<Vec<Pid>, ProcessesError> {
        let counting = [Controller::Pids, Controller::Memory, Controller::Cpuacct];
        let Some(directory) = counting.iter().find_map(|controller| self.hierarchies.directory(*controller, path))
        else {
            return self.processes(path);
        };
        let mut found =
            processes_below(&directory).map_err(|source| ProcessesError { directory: directory.clone(), source })?;
        found.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
        Ok(found)
    }

    /// Sends SIGKILL to every process of the group and the groups inside it, and waits until all are gone.
    ///
    /// # Errors
    /// The members cannot be listed, or some are left when `timeout` has passed.
    pub fn kill(&self, path: &CgroupPath, timeout: Duration) -> Result<(), KillError> {
        let deadline = Instant::now() + timeout;
        loop {
            let members = self.members(path)?;
            let Some(first) = members.first() else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                return Err(KillError::StillRunning {
                    path: path.clone(),
                    count: members.len(),
                    first: first.as_raw_nonzero().get(),
                });
            }
            if !self.kill_by_kernel(path) {
                self.kill_one_by_one(path)?;
            }
            wait_for_exit(&members, deadline.min(Instant::now() + ROUND));
        }
    }

    fn members(&self, path: &CgroupPath) -> Result<Vec<Pid>, KillError> {
        self.processes(path).map_err(|source| KillError::Processes { path: path.clone(), source })
    }

    /// `cgroup.kill` (Linux 5.14), where every process of the group is known to be in the v2 hierarchy.
    fn kill_by_kernel(&self, path: &CgroupPath) -> bool {
        let unified = self.hierarchies.unified_only();
        unified.is_some_and(|mount| std::fs::write(path.below(&mount.mount_point).join("cgroup.kill"), "1").is_ok())
    }

    fn kill_one_by_one(&self, path: &CgroupPath) -> Result<(), KillError> {
        let freezer = self.hierarchies.directory(Controller::Freezer, path);
        let _frozen = freezer.as_deref().map(Frozen::freeze);
        let members = self.members(path)?;
        for batch in members.chunks(PIDFDS_MAX) {
            let handles = open_all(batch);
            let still: BTreeSet<i32> = self.members(path)?.iter().map(|pid| pid.as_raw_nonzero().get()).collect();
            for (pid, handle) in &handles {
                if still.contains(&pid.as_raw_nonzero().get()) {
                    // It may have ended by itself, which is what is wanted.
                    let _ = pidfd_send_signal(handle, Signal::KILL);
                }
            }
        }
        Ok(())
    }
}

/// A v1 group that is frozen until this value is dropped.
struct Frozen(PathBuf);

impl Frozen {
    /// Best effort: a group that cannot be frozen is killed in more rounds.
    fn freeze(directory: &Path) -> Self {
        let state = directory.join("freezer.state");
        let _ = std::fs::write(&state, "FROZEN");
        Self(state)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = std::fs::write(&self.0, "THAWED");
    }
}

/// The processes in a directory of one hierarchy and below it.
pub(crate) fn processes_below(directory: &Path) -> io::Result<Vec<Pid>> {
    let mut processes = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        match std::fs::read_to_string(directory.join("cgroup.procs")) {
            Ok(list) => processes.extend(parse_processes(&list)),
            // Gone, or a threaded group, whose processes its parent lists.
            Err(error) if is_gone(&error) || error.kind() == Io::Unsupported => {}
            Err(error) => return Err(error),
        }
        pending.extend(subdirectories(&directory));
    }
    Ok(processes)
}

/// Whether an error says that the group was removed.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(rustix::io::Errno::from_io_error(error), Some(rustix::io::Errno::NOENT | rustix::io::Errno::NODEV))
}

/// Processes outside our pid namespace are listed as 0 and passed over.
fn parse_processes(list: &str) -> impl Iterator<Item = Pid> {
    let raw = list.lines().filter_map(|line| line.parse::<i32>().ok());
    raw.filter(|&raw| raw > 0).filter_map(Pid::from_raw)
}

/// Waits until all of these processes have exited, or the deadline passes.
pub(crate) fn wait_for_exit(processes: &[Pid], deadline: Instant) {
    for batch in processes.chunks(PIDFDS_MAX) {
        let mut handles = open_all(batch);
        while !handles.is_empty() {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return;
            };
            handles = still_running(handles, left);
        }
    }
}

fn open_all(processes: &[Pid]) -> Vec<(Pid, OwnedFd)> {
    let open = |pid: &Pid| Some((*pid, pidfd_open(*pid, PidfdFlags::empty()).ok()?));
    processes.iter().filter_map(open).collect()
}

/// One wait: gives back those that did not exit. After an error all are given back and the deadline decides.
fn still_running(handles: Vec<(Pid, OwnedFd)>, timeout: Duration) -> Vec<(Pid, OwnedFd)> {
    let mut polled: Vec<PollFd<'_>> = handles.iter().map(|(_, fd)| PollFd::new(fd, PollFlags::IN)).collect();
    let timeout = Timespec::try_from(timeout).ok();
    let exited: Vec<bool> = match poll(&mut polled, timeout.as_ref()) {
        Ok(_) => polled.iter().map(|fd| !fd.revents().is_empty()).collect(),
        Err(_) => vec![false; handles.len()],
    };
    let remaining = handles.into_iter().zip(exited).filter(|(_, exited)| !exited);
    remaining.map(|(handle, _)| handle).collect()
}

#[cfg(test)]
mod tests;
