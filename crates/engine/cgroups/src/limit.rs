//! The limits of a running group that OCI runtimes leave out when they update a container: huge pages (runc knows none), and the
//! OOM killer's score, which belongs to processes and not to groups.
//!
//! Each call changes all or nothing. A process is written to through a descriptor of its procfs directory that was open before
//! the member list was read a second time, so a reused id is never hit.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crio_types::{Classified, ErrorKind, HugepageLimit};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::Pid;

use crate::process::is_gone;
use crate::{CgroupPath, Cgroups, Controller, ProcessesError};

/// How often the group is looked at again for processes that were forked meanwhile.
const ROUNDS: usize = 8;

/// A limit could not be changed; those of the same call are as before.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// The kernel knows no such page size, or the group is gone.
    #[error("huge pages of {page_size} cannot be limited here")]
    PageSize {
        /// As requested.
        page_size: String,
    },
    /// A file of the group could not be read or written.
    #[error("cannot write {text:?} to {}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What was to be written.
        text: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The members are not known.
    #[error("cannot find the processes of {path}")]
    Processes {
        /// The group.
        path: CgroupPath,
        /// Why.
        source: ProcessesError,
    },
    /// A process does not take the score.
    #[error("cannot set the OOM score adjustment of process {process} to {score}")]
    Score {
        /// The process.
        process: i32,
        /// The score.
        score: i32,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Classified for LimitError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::PageSize { .. } => ErrorKind::InvalidArgument,
            Self::Write { source, .. } | Self::Score { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                ErrorKind::PermissionDenied
            }
            Self::Write { .. } | Self::Processes { .. } | Self::Score { .. } => ErrorKind::Internal,
        }
    }
}

impl Cgroups {
    /// Sets limits of huge pages. Without the controller nothing is done, as when a container is made.
    ///
    /// # Errors
    /// A size is unknown, or the kernel refuses a limit; all sizes are as before then.
    pub fn set_hugepage_limits(&self, path: &CgroupPath, limits: &[HugepageLimit]) -> Result<(), LimitError> {
        let Some(mount) = self.hierarchies.mount(Controller::Hugetlb) else {
            return Ok(());
        };
        let directory = path.below(&mount.mount_point);
        let file = |limit: &HugepageLimit| {
            let suffix = if mount.unified { "max" } else { "limit_in_bytes" };
            directory.join(format!("hugetlb.{}.{suffix}", limit.page_size))
        };
        write_all(limits.iter().map(|limit| (file(limit), limit)))
    }

    /// Sets the OOM score adjustment of every process of the group and the groups inside it; their children will inherit it.
    ///
    /// # Errors
    /// The members are not known, or one of them does not take it; those that took it have their old one then.
    pub fn set_oom_score_adj(&self, path: &CgroupPath, score: i32) -> Result<(), LimitError> {
        let members = || self.processes(path).map_err(|source| LimitError::Processes { path: path.clone(), source });
        let mut changed: BTreeMap<i32, Scored> = BTreeMap::new();
        for _ in 0..ROUNDS {
            let found = members()?;
            let fresh = found.iter().filter(|pid| !changed.contains_key(&pid.as_raw_nonzero().get()));
            let open: Vec<(Pid, OwnedFd)> = fresh.filter_map(|pid| Some((*pid, open_process(*pid)?))).collect();
            if open.is_empty() {
                return Ok(());
            }
            let still = members()?;
            for (pid, directory) in open.into_iter().filter(|(pid, _)| still.contains(pid)) {
                let process = pid.as_raw_nonzero().get();
                match Scored::set(directory, score) {
                    Ok(Some(scored)) => drop(changed.insert(process, scored)),
                    Ok(None) => {}
                    Err(source) => {
                        changed.into_values().for_each(Scored::restore);
                        return Err(LimitError::Score { process, score, source });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Writes each limit to its file. After a failure those that were written get what they had.
fn write_all<'a>(files: impl Iterator<Item = (PathBuf, &'a HugepageLimit)>) -> Result<(), LimitError> {
    let mut written: Vec<(PathBuf, String)> = Vec::new();
    for (file, limit) in files {
        let outcome = replace(&file, limit);
        match outcome {
            Ok(before) => written.push((file, before)),
            Err(error) => {
                for (file, before) in written.iter().rev() {
                    // The first failure is the one to report.
                    let _ = std::fs::write(file, before);
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Writes a limit and gives what was there.
fn replace(file: &Path, limit: &HugepageLimit) -> Result<String, LimitError> {
    // A page size comes from a request and must not lead to another file.
    let named = !limit.page_size.is_empty() && limit.page_size.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let unknown = || LimitError::PageSize { page_size: limit.page_size.clone() };
    if !named {
        return Err(unknown());
    }
    let text = limit.limit_bytes.to_string();
    let failed = |source: io::Error| {
        if is_gone(&source) {
            unknown()
        } else {
            LimitError::Write { file: file.to_owned(), text: text.clone(), source }
        }
    };
    let before = std::fs::read_to_string(file).map_err(failed)?;
    std::fs::write(file, &text).map_err(failed)?;
    Ok(before)
}

/// A process whose score was changed.
struct Scored {
    directory: OwnedFd,
    before: Vec<u8>,
}

impl Scored {
    /// `None` when the process has ended meanwhile.
    fn set(directory: OwnedFd, score: i32) -> io::Result<Option<Self>> {
        let mut before = vec![0; 16];
        let outcome = (|| {
            let length = rustix::io::read(open_score(&directory, OFlags::RDONLY)?, &mut before)?;
            before.truncate(length);
            rustix::io::write(open_score(&directory, OFlags::WRONLY)?, score.to_string().as_bytes())
        })();
        match outcome {
            Ok(_) => Ok(Some(Self { directory, before })),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::SRCH) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Raising is always allowed, and lowering as far as it was before.
    fn restore(self) {
        if let Ok(file) = open_score(&self.directory, OFlags::WRONLY) {
            let _ = rustix::io::write(file, &self.before);
        }
    }
}

fn open_score(directory: &OwnedFd, access: OFlags) -> rustix::io::Result<OwnedFd> {
    openat(directory, "oom_score_adj", access | OFlags::CLOEXEC, Mode::empty())
}

fn open_process(pid: Pid) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, format!("/proc/{}", pid.as_raw_nonzero()), flags, Mode::empty()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Group, legacy};

    #[test]
    fn every_process_gets_the_score() {
        let cgroups = legacy();
        let group = Group::create(&cgroups, "scored");
        let mut shell = group.run(&cgroups, "sleep 1000 & echo; read x; kill $!");
        shell.wait_for_line();
        cgroups.set_oom_score_adj(&group.path, 321).expect("set");
        let processes = cgroups.processes(&group.path).expect("listed");
        assert_eq!(cgroups.counted_processes(&group.path).expect("listed"), processes);
        assert!(processes.len() >= 2, "{processes:?}");
        for process in processes {
            let score = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", process.as_raw_nonzero()));
            assert_eq!(score.expect("it runs").trim(), "321");
        }
        assert!(matches!(cgroups.set_oom_score_adj(&group.path, 2000), Err(LimitError::Score { .. })));
        let none = group.path.child("none");
        cgroups.set_oom_score_adj(&none, 1).expect("nobody there");
        cgroups.kill(&group.path, crate::testing::PATIENCE).expect("ended");
    }

    #[test]
    fn huge_page_limits_change_together_or_not_at_all() {
        let directory = tempfile::tempdir().expect("tempdir");
        let file = |size: &str| directory.path().join(format!("hugetlb.{size}.max"));
        std::fs::write(file("2MB"), "max\n").expect("written");
        let limit = |size: &str| HugepageLimit { page_size: size.to_owned(), limit_bytes: 4 << 20 };
        let write = |sizes: &[&str]| {
            let limits: Vec<HugepageLimit> = sizes.iter().map(|size| limit(size)).collect();
            write_all(limits.iter().map(|limit| (file(&limit.page_size), limit)))
        };
        for sizes in [&["2MB", "1GB"][..], &["2MB", "../x"], &["2MB", ""]] {
            assert!(matches!(write(sizes), Err(LimitError::PageSize { .. })), "{sizes:?}");
            assert_eq!(std::fs::read_to_string(file("2MB")).expect("read"), "max\n", "{sizes:?}");
        }
        write(&["2MB"]).expect("set");
        assert_eq!(std::fs::read_to_string(file("2MB")).expect("read"), "4194304");
    }
}
