//! Processes: handles that cannot go stale, exit statuses, start times, and the out-of-memory killer's score.
//!
//! A process id alone names nothing for long. [`PidFd`] pins one process; together with the start time that the kernel
//! keeps for it ([`start_time`]) a record of yesterday is matched to the process it meant, or to none.
//! See pidfd_open(2), proc_pid_stat(5) and `PIDFD_GET_INFO` in the kernel's `include/uapi/linux/pidfd.h`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::process::{Pid, PidfdFlags, Signal};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It called exit with this status, 0 to 255.
    Exited(u8),
    /// This signal ended it.
    Signaled(u8),
}

impl Ended {
    /// From a wait status as wait(2) gives it; `None` when it tells of a stop and not of an end.
    #[must_use]
    pub fn from_wait_status(status: i32) -> Option<Self> {
        match status & 0x7f {
            0 => Some(Self::Exited(u8::try_from((status >> 8) & 0xff).ok()?)),
            0x7f => None,
            signal => Some(Self::Signaled(u8::try_from(signal).ok()?)),
        }
    }

    /// The exit code as shells and CRI write it: the status, or 128 and the signal's number.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Exited(code) => i32::from(code),
            Self::Signaled(signal) => 128 + i32::from(signal),
        }
    }

    /// The signal, if one ended it.
    #[must_use]
    pub fn signal(self) -> Option<u8> {
        match self {
            Self::Exited(_) => None,
            Self::Signaled(signal) => Some(signal),
        }
    }
}

/// A handle of one process, whatever becomes of its number. It turns readable when the process ends.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens the process that has this number now. Safe from reuse only for a child that was not reaped yet; for any
    /// other process use [`PidFd::open_started`].
    ///
    /// # Errors
    /// `ESRCH`: there is no such process.
    pub fn open(pid: u32) -> std::io::Result<Self> {
        Ok(Self(rustix::process::pidfd_open(to_pid(pid)?, PidfdFlags::empty())?))
    }

    /// Opens the process that has this number and started at `start_time`.
    ///
    /// # Errors
    /// `ESRCH`: there is none, or the number belongs to another process now.
    pub fn open_started(pid: u32, start_time: u64) -> std::io::Result<Self> {
        let handle = Self::open(pid)?;
        // The order matters: if the number was reused before the handle was made, the start time tells.
        if self::start_time(pid)? == start_time { Ok(handle) } else { Err(rustix::io::Errno::SRCH.into()) }
    }

    /// Sends a signal, 1 to 64.
    ///
    /// # Errors
    /// `ESRCH`: it has ended and was reaped. `InvalidInput`: not a signal.
    pub fn signal(&self, number: u8) -> std::io::Result<()> {
        if !(1..=64).contains(&number) {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        #[expect(unsafe_code, reason = "rustix names no real-time signals")]
        // SAFETY: the number is a signal of Linux. What libc reserves for itself it reserves in its own process; here the
        // value is only handed to the kernel for another one.
        let signal = unsafe { Signal::from_raw_unchecked(i32::from(number)) };
        rustix::process::pidfd_send_signal(&self.0, signal)?;
        Ok(())
    }

    /// Whether the process has ended. It may still wait to be reaped.
    ///
    /// # Errors
    /// What poll(2) says.
    pub fn has_ended(&self) -> std::io::Result<bool> {
        let mut polled = [rustix::event::PollFd::new(&self.0, rustix::event::PollFlags::IN)];
        let ready = rustix::io::retry_on_intr(|| {
            rustix::event::poll(&mut polled, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 }))
        })?;
        Ok(ready > 0)
    }

    /// How the process ended, for anyone who holds a handle, child or not: kernel 6.15 and later, once the process was
    /// reaped by its parent. `None` when the kernel cannot say, or not yet.
    #[must_use]
    pub fn exit_information(&self) -> Option<Ended> {
        let mut information = PidFdInformation { mask: PIDFD_INFO_EXIT, ..PidFdInformation::default() };
        let descriptor = self.0.as_raw_fd();
        #[expect(unsafe_code, reason = "rustix has no PIDFD_GET_INFO")]
        // SAFETY: the request number carries the size of `PidFdInformation`, a plain C structure that lives across the call;
        // the kernel writes at most that many bytes into it, and every bit pattern is a value of it.
        let result = unsafe { libc::ioctl(descriptor, PIDFD_GET_INFO, &raw mut information) };
        if result != 0 || information.mask & PIDFD_INFO_EXIT == 0 {
            return None;
        }
        Ended::from_wait_status(information.exit_code)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for PidFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The first published form of the kernel's `struct pidfd_info`.
#[repr(C)]
#[derive(Default)]
struct PidFdInformation {
    mask: u64,
    cgroup_id: u64,
    ids: [u32; 11],
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xff, 11, struct pidfd_info)`: direction, size, type, number.
const PIDFD_GET_INFO: libc::Ioctl =
    ((3 << 30) | (size_of::<PidFdInformation>() << 16) | (0xff << 8) | 11) as libc::Ioctl;

/// When a process started, in clock ticks since boot (field 22 of `/proc/<pid>/stat`).
///
/// # Errors
/// There is no such process (`ESRCH`), or procfs says something we do not understand (`InvalidData`).
pub fn start_time(pid: u32) -> std::io::Result<u64> {
    Ok(stat(pid)?.start_time)
}

/// What the kernel says about a process's place among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Process id.
    pub pid: u32,
    /// State, as one letter: `R`, `S`, `D`, `T`, `Z`, …
    pub state: char,
    /// Its parent.
    pub parent: u32,
    /// Its session.
    pub session: u32,
    /// Start, in clock ticks since boot.
    pub start_time: u64,
}

/// Reads `/proc/<pid>/stat`.
///
/// # Errors
/// As [`start_time`].
pub fn stat(pid: u32) -> std::io::Result<Stat> {
    let text = match std::fs::read(format!("/proc/{pid}/stat")) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(rustix::io::Errno::SRCH.into()),
        Err(error) => return Err(error),
    };
    parse_stat(&text)
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "unknown form of /proc/PID/stat"))
}

/// The command name, in parentheses, may hold anything, so the fields are counted from the last parenthesis.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let open = text.iter().position(|&byte| byte == b'(')?;
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let pid = std::str::from_utf8(text.get(..open)?).ok()?.trim().parse().ok()?;
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let start_time = fields.nth(15)?.parse().ok()?;
    Some(Stat { pid, state, parent, session, start_time })
}

/// Every process there is, as far as procfs shows it. Those that end during the walk are left out.
///
/// # Errors
/// `/proc` cannot be read.
pub fn all() -> std::io::Result<Vec<Stat>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok())
            && let Ok(stat) = stat(pid)
        {
            found.push(stat);
        }
    }
    Ok(found)
}

/// The score adjustment of this process for the out-of-memory killer.
///
/// # Errors
/// procfs is not mounted.
pub fn oom_score_adjustment() -> std::io::Result<i32> {
    let text = std::fs::read_to_string(OOM_SCORE)?;
    text.trim().parse().map_err(|_| std::io::ErrorKind::InvalidData.into())
}

/// Sets the score adjustment of this process, −1000 (never a victim) to 1000. Children inherit it.
///
/// # Errors
/// `EACCES`: lowering it takes `CAP_SYS_RESOURCE`.
pub fn set_oom_score_adjustment(score: i32) -> std::io::Result<()> {
    std::fs::write(OOM_SCORE, score.to_string())
}

const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// Makes this process the parent of every descendant whose own parent ends (`PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
/// What prctl(2) says.
pub fn become_subreaper() -> std::io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Collects the next ended child, if there is one.
///
/// # Errors
/// What waitpid(2) says; a process without children gets `Ok(None)`.
pub fn reap() -> std::io::Result<Option<(u32, Ended)>> {
    loop {
        match rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                let pid = pid.as_raw_nonzero().get().unsigned_abs();
                if let Some(ended) = Ended::from_wait_status(status.as_raw()) {
                    return Ok(Some((pid, ended)));
                }
            }
            Ok(None) | Err(rustix::io::Errno::CHILD) => return Ok(None),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn to_pid(pid: u32) -> std::io::Result<Pid> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| std::io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests;
