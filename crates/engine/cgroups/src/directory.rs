//! Making and removing groups, in every hierarchy at once.
//!
//! A group is made leaf first: its parents usually exist (kubelet makes them). On v2 the resource controllers are switched on in
//! the ancestors, on v1 an empty `cpuset` is filled from the parent's, because a group without processors accepts no process.
//! A failed creation removes what it made.
//!
//! Removal goes bottom-up, tries every hierarchy and reports every failure. The kernel answers EBUSY while a process is still
//! exiting: removal then waits for the processes it finds, or a moment when it finds none, until its deadline. It never kills,
//! and never removes a parent.

use std::fmt;
use std::io::{self, ErrorKind as Io};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crio_types::{Classified, ErrorKind};

use crate::hierarchy::Mount;
use crate::process::{processes_below, wait_for_exit};
use crate::{CgroupPath, Cgroups, Controller, Layout};

/// First pause after EBUSY without a process to wait for; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(32);
/// The v2 controllers that the runtime may need below a pod.
const DELEGATED: [&str; 6] = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"];
const CPUSET_FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// A group could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the control group {}", directory.display())]
pub struct CreateError {
    /// The directory or file that failed.
    pub directory: PathBuf,
    /// What the kernel said.
    pub source: io::Error,
}

impl Classified for CreateError {
    fn kind(&self) -> ErrorKind {
        match self.source.kind() {
            Io::StorageFull | Io::QuotaExceeded => ErrorKind::ResourceExhausted,
            Io::PermissionDenied => ErrorKind::PermissionDenied,
            _ => ErrorKind::Internal,
        }
    }
}

/// A group could not be removed from every hierarchy.
#[derive(Debug)]
pub struct RemoveError {
    /// Each directory that is still there, and why.
    pub failures: Vec<(PathBuf, io::Error)>,
}

impl fmt::Display for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot remove the control group")?;
        for (index, (directory, error)) in self.failures.iter().enumerate() {
            let separator = if index == 0 { " " } else { "; " };
            write!(f, "{separator}{} ({error})", directory.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for RemoveError {}

impl Classified for RemoveError {
    fn kind(&self) -> ErrorKind {
        let busy = |(_, error): &(PathBuf, io::Error)| error.kind() == Io::ResourceBusy;
        if self.failures.iter().any(busy) { ErrorKind::DeadlineExceeded } else { ErrorKind::Internal }
    }
}

impl Cgroups {
    /// Makes the group in every writable hierarchy, with its missing parents. A group that exists is left as it is.
    ///
    /// # Errors
    /// A directory cannot be made; those made by this call are gone again.
    pub fn create(&self, path: &CgroupPath) -> Result<(), CreateError> {
        self.create_all(path, true)
    }

    /// The same without switching on a controller for it: for processes that are to be found apart from others and need no
    /// limits, in the slice of somebody else.
    ///
    /// # Errors
    /// As [`Cgroups::create`].
    pub fn create_undelegated(&self, path: &CgroupPath) -> Result<(), CreateError> {
        self.create_all(path, false)
    }

    fn create_all(&self, path: &CgroupPath, delegate: bool) -> Result<(), CreateError> {
        let mut made = Vec::new();
        let mut mounts = self.hierarchies.mounts().iter().filter(|mount| mount.writable);
        let result = mounts.try_for_each(|mount| self.create_in(mount, path, delegate, &mut made));
        if result.is_err() {
            for directory in made.iter().rev() {
                // A process may have joined meanwhile; then the group is no longer ours to take away.
                let _ = std::fs::remove_dir(directory);
            }
        }
        result
    }

    fn create_in(
        &self,
        mount: &Mount,
        path: &CgroupPath,
        delegate: bool,
        made: &mut Vec<PathBuf>,
    ) -> Result<(), CreateError> {
        let leaf = path.below(&mount.mount_point);
        if leaf.is_dir() {
            return Ok(());
        }
        let at = |directory: &Path| {
            let directory = directory.to_owned();
            move |source| CreateError { directory, source }
        };
        let depth = leaf.components().count() - mount.mount_point.components().count();
        let mut lineage: Vec<&Path> = leaf.ancestors().take(depth).collect();
        lineage.reverse();
        let mut parent = mount.mount_point.as_path();
        for directory in lineage {
            if delegate && mount.unified && self.layout() == Layout::Unified {
                enable_controllers(parent);
            }
            match std::fs::create_dir(directory) {
                Ok(()) => made.push(directory.to_owned()),
                Err(error) if error.kind() == Io::AlreadyExists => {}
                Err(error) => return Err(at(directory)(error)),
            }
            if mount.carries(Controller::Cpuset) && !mount.unified {
                inherit_cpuset(parent, directory).map_err(at(directory))?;
            }
            parent = directory;
        }
        Ok(())
    }

    /// Whether the group exists in any hierarchy.
    #[must_use]
    pub fn exists(&self, path: &CgroupPath) -> bool {
        self.directories(path).iter().any(|directory| directory.is_dir())
    }

    /// The groups directly inside this one, in any hierarchy, each once; empty when there is none.
    #[must_use]
    pub fn children(&self, path: &CgroupPath) -> Vec<CgroupPath> {
        let mut names: Vec<String> = self
            .directories(path)
            .iter()
            .flat_map(|directory| subdirectories(directory))
            .filter_map(|child| Some(child.file_name()?.to_str()?.to_owned()))
            .collect();
        names.sort_unstable();
        names.dedup();
        names.iter().map(|name| path.child(name)).collect()
    }

    /// Removes the group and all groups inside it, from every hierarchy. A group that does not exist is removed already.
    ///
    /// Processes that are exiting are waited for, at most `timeout` in all; running ones are the caller's to [`kill`](Self::kill)
    /// first.
    ///
    /// # Errors
    /// Lists every directory that is still there; the root group is always refused.
    pub fn remove(&self, path: &CgroupPath, timeout: Duration) -> Result<(), RemoveError> {
        if path.is_root() {
            let refused = io::Error::from(Io::InvalidInput);
            return Err(RemoveError { failures: vec![(PathBuf::from(path.as_str()), refused)] });
        }
        let deadline = Instant::now() + timeout;
        let mut failures = Vec::new();
        for directory in self.directories(path) {
            remove_tree(directory, deadline, &mut failures);
        }
        if failures.is_empty() { Ok(()) } else { Err(RemoveError { failures }) }
    }
}

fn remove_tree(directory: PathBuf, deadline: Instant, failures: &mut Vec<(PathBuf, io::Error)>) {
    let mut pause = PAUSE_MIN;
    loop {
        let error = match remove_once(&directory) {
            Ok(()) => return,
            Err(error) => error,
        };
        let busy = matches!(error.kind(), Io::ResourceBusy | Io::DirectoryNotEmpty);
        if !busy || Instant::now() >= deadline {
            failures.push((directory, error));
            return;
        }
        let processes = processes_below(&directory).unwrap_or_default();
        if processes.is_empty() {
            rest(pause, deadline);
            pause = (pause * 2).min(PAUSE_MAX);
        } else {
            wait_for_exit(&processes, deadline);
        }
    }
}

/// One attempt, bottom-up.
fn remove_once(directory: &Path) -> io::Result<()> {
    match remove_directory(directory) {
        Err(error) if matches!(error.kind(), Io::ResourceBusy | Io::DirectoryNotEmpty) => {}
        result => return result,
    }
    let mut found = vec![directory.to_owned()];
    let mut next = 0;
    while next < found.len() {
        let children = subdirectories(&found[next]);
        found.extend(children);
        next += 1;
    }
    found.iter().rev().try_for_each(|directory| remove_directory(directory))
}

fn remove_directory(directory: &Path) -> io::Result<()> {
    match std::fs::remove_dir(directory) {
        Err(error) if error.kind() == Io::NotFound => Ok(()),
        result => result,
    }
}

pub(crate) fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

#[expect(clippy::disallowed_methods, reason = "the kernel signals no event when an empty group stops being busy")]
fn rest(pause: Duration, deadline: Instant) {
    std::thread::sleep(pause.min(deadline.saturating_duration_since(Instant::now())));
}

/// Switches on what `parent` could hand down and does not yet. Best effort: a controller that cannot be had is missing from the
/// group, which shows when a limit is set; and a parent with processes of its own refuses all of them.
fn enable_controllers(parent: &Path) {
    let read = |file: &str| std::fs::read_to_string(parent.join(file)).unwrap_or_default();
    let available = read("cgroup.controllers");
    let enabled = read("cgroup.subtree_control");
    for controller in available.split_whitespace().filter(|name| DELEGATED.contains(name)) {
        if !enabled.split_whitespace().any(|name| name == controller) {
            let _ = std::fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
}

fn inherit_cpuset(parent: &Path, child: &Path) -> io::Result<()> {
    for file in CPUSET_FILES {
        let (from, to) = (parent.join(file), child.join(file));
        match std::fs::read_to_string(&to) {
            Ok(own) if own.trim().is_empty() => std::fs::write(&to, std::fs::read_to_string(&from)?)?,
            Ok(_) => {}
            Err(error) if error.kind() == Io::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
