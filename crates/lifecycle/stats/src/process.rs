//! What the processes of a group have open, from procfs.
//!
//! This looks at every descriptor of every process, so it is done only for the metrics that tell of it, and stops at its limits:
//! what it has counted by then is a lower bound. Processes come and go meanwhile; what is gone is not counted.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Dir, Mode, OFlags, openat, readlinkat};
use rustix::process::Pid;

/// Processes looked at.
const PROCESSES_MAX: usize = 512;
/// Descriptors looked at, of all processes together.
const DESCRIPTORS_MAX: u64 = 16_384;

/// What processes have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Opened {
    /// Descriptors.
    pub(crate) descriptors: u64,
    /// Those of them that are sockets.
    pub(crate) sockets: u64,
}

/// Counts what these processes have open.
pub(crate) fn opened(processes: &[Pid]) -> Opened {
    let mut opened = Opened::default();
    for process in processes.iter().take(PROCESSES_MAX) {
        if count(*process, &mut opened).is_none() {
            return opened;
        }
    }
    opened
}

/// `None` when the limit is reached.
fn count(process: Pid, opened: &mut Opened) -> Option<()> {
    let path = format!("/proc/{}/fd", process.as_raw_nonzero());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(directory) = openat(CWD, &path, flags, Mode::empty()) else {
        return Some(());
    };
    let Ok(entries) = Dir::read_from(&directory) else {
        return Some(());
    };
    for entry in entries.flatten().filter(|entry| !entry.file_name().to_bytes().starts_with(b".")) {
        if opened.descriptors >= DESCRIPTORS_MAX {
            return None;
        }
        opened.descriptors += 1;
        opened.sockets += u64::from(is_socket(&directory, entry.file_name()));
    }
    Some(())
}

fn is_socket(directory: &OwnedFd, name: &std::ffi::CStr) -> bool {
    readlinkat(directory, name, Vec::new()).is_ok_and(|target| target.to_bytes().starts_with(b"socket:"))
}

/// The soft limit of open files of a process; `None` when it is gone or the limit is none.
pub(crate) fn open_files_limit(process: Pid) -> Option<u64> {
    let path = format!("/proc/{}/limits", process.as_raw_nonzero());
    let limits = std::fs::read_to_string(path).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_descriptors_are_seen() {
        let own = rustix::process::getpid();
        let before = opened(&[own]);
        let (_one, _other) = std::os::unix::net::UnixStream::pair().expect("sockets");
        let after = opened(&[own]);
        assert!(before.descriptors >= 3, "{before:?}");
        assert!(after.sockets >= 2 && after.descriptors > after.sockets, "{after:?}");
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        assert_eq!(open_files_limit(own), limit);
    }

    #[test]
    fn a_process_that_is_gone_has_nothing_open() {
        let gone = Pid::from_raw(i32::MAX).expect("a number");
        assert_eq!(opened(&[gone]), Opened::default());
        assert_eq!(open_files_limit(gone), None);
    }
}
