//! Whole-file advisory locks between processes, with a deadline.
//!
//! The locks are *open file description* locks: they conflict with the process-wide `fcntl` locks of programs such as
//! podman, belong to the opened file rather than to the process, and vanish when it is closed. Two of our own threads
//! that open the same file exclude each other as well.
//!
//! Waiting does not poll. A lock that is busy is awaited by a thread of its own, because the kernel has no timed
//! variant of the call; when the deadline passes that thread stays in the kernel until the lock becomes free and then
//! lets go of it at once.

#![expect(unsafe_code, reason = "rustix has process-wide record locks only")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::time::Duration;

/// How a file is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Together with other readers.
    Shared,
    /// Alone.
    Exclusive,
}

#[derive(Clone, Copy)]
enum Waiting {
    No,
    Yes,
}

/// Locks `file` without waiting. Returns whether it is locked now.
///
/// # Errors
/// The file system has no locks, or the file is not open in the direction the mode needs.
pub fn try_lock(file: &File, mode: LockMode) -> io::Result<bool> {
    match set_lock(file, mode, Waiting::No) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Locks `file`, waiting at most `timeout` for whoever holds it. The lock lasts until the file, and every duplicate
/// of it, is closed.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] when the deadline passed; otherwise as [`try_lock`].
pub fn lock(file: &File, mode: LockMode, timeout: Duration) -> io::Result<()> {
    if try_lock(file, mode)? {
        return Ok(());
    }
    let waiter = file.try_clone()?;
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new().name("lock-wait".to_owned()).spawn(move || {
        let outcome = set_lock(&waiter, mode, Waiting::Yes);
        let locked = outcome.is_ok();
        if sender.send(outcome).is_err() && locked {
            unlock(&waiter);
        }
    })?;
    match receiver.recv_timeout(timeout) {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "another process holds the lock")),
    }
}

fn set_lock(file: &File, mode: LockMode, waiting: Waiting) -> io::Result<()> {
    let kind = match mode {
        LockMode::Shared => libc::F_RDLCK,
        LockMode::Exclusive => libc::F_WRLCK,
    };
    let command = match waiting {
        Waiting::No => libc::F_OFD_SETLK,
        Waiting::Yes => libc::F_OFD_SETLKW,
    };
    loop {
        match record_lock(file, command, kind) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Lets go of a lock that nobody waits for any more. Closing the file would do it too, unless a duplicate is open.
fn unlock(file: &File) {
    // Unlocking a valid descriptor cannot fail; the close that follows would release the lock in any case.
    let _ = record_lock(file, libc::F_OFD_SETLK, libc::F_UNLCK);
}

fn record_lock(file: &File, command: libc::c_int, kind: libc::c_int) -> io::Result<()> {
    let request = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and `request` is a valid flock that outlives
    // the call; the kernel reads it and writes nothing for these commands.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, &raw const request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn two_handles() -> (std::path::PathBuf, File, File) {
        let name = format!("crio-lock-{}", hex_name());
        let path = std::env::temp_dir().join(name);
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        (path.clone(), open(), open())
    }

    fn hex_name() -> String {
        crate::random::bytes32().unwrap().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn readers_share_and_writers_exclude() {
        let (path, first, second) = two_handles();
        assert!(try_lock(&first, LockMode::Shared).unwrap());
        assert!(try_lock(&second, LockMode::Shared).unwrap());
        assert!(!try_lock(&first, LockMode::Exclusive).unwrap());
        drop(second);
        assert!(try_lock(&first, LockMode::Exclusive).unwrap());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn waiting_ends_when_the_holder_lets_go_or_the_deadline_passes() {
        let (path, first, second) = two_handles();
        lock(&first, LockMode::Exclusive, Duration::from_secs(1)).unwrap();
        let start = Instant::now();
        let refused = lock(&second, LockMode::Exclusive, Duration::from_millis(30)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(5));
        let third = File::options().read(true).write(true).open(&path).unwrap();
        let waiting = std::thread::spawn(move || lock(&third, LockMode::Exclusive, Duration::from_secs(20)));
        drop(first);
        drop(second);
        waiting.join().unwrap().unwrap();
        std::fs::remove_file(path).unwrap();
    }
}
