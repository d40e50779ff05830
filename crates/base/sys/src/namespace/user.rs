//! User namespaces, with the namespaces that belong to them.
//!
//! The kernel gives a user namespace only to a process of one thread, so a child is forked that does nothing but wait
//! to be killed; its namespaces are opened through procfs and outlive it by their descriptors. The others are asked for
//! in the same call, which makes the new user namespace their owner: what its root may do, it may do in them.
//! See user_namespaces(7), clone(2).

use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use rustix::thread::{Gid, Uid, UnshareFlags};

use super::{NamespaceError, NamespaceKind};

/// A run of ids: those inside a user namespace and what they are outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many.
    pub length: u32,
}

/// A user namespace and the namespaces it owns.
#[derive(Debug)]
pub struct UserNamespace {
    /// The user namespace itself.
    pub user: OwnedFd,
    /// The others, in the order they were asked for.
    pub owned: Vec<(NamespaceKind, OwnedFd)>,
}

/// Makes a user namespace with these maps, and namespaces of these kinds that belong to it.
///
/// # Errors
/// The kernel refuses the namespaces ([`NamespaceError::Make`]) or a map ([`NamespaceError::MapIds`]).
pub fn make_user(uids: &[IdRange], gids: &[IdRange], kinds: &[NamespaceKind]) -> Result<UserNamespace, NamespaceError> {
    let flags = kinds.iter().fold(UnshareFlags::NEWUSER, |flags, kind| flags | kind.unshare_flag());
    let holder = Holder::fork(flags).map_err(|source| NamespaceError::Make { source })?;
    holder.write_map("uid_map", uids)?;
    holder.write_map("gid_map", gids)?;
    let user = holder.open("user")?;
    let open = |kind: &NamespaceKind| Ok((*kind, holder.open(kind.proc_name())?));
    let owned = kinds.iter().map(open).collect::<Result<_, NamespaceError>>()?;
    Ok(UserNamespace { user, owned })
}

/// Runs `work` with the calling thread's effective ids changed. The kernel lets only the root user of an IPC namespace
/// change some of its parameters, and asks for nothing but the effective ids. A thread that did not begin as root, or
/// cannot become it again, stays as it is.
///
/// # Errors
/// The ids cannot be changed; `work` did not run then, or its result is lost with the way back.
pub fn as_effective<T>(uid: u32, gid: u32, work: impl FnOnce() -> T) -> io::Result<T> {
    let (own_uid, own_gid) = (rustix::process::geteuid(), rustix::process::getegid());
    set_effective_gid(Gid::from_raw(gid))?;
    let entered = set_effective_uid(Uid::from_raw(uid));
    let result = entered.is_ok().then(work);
    // In this order: it takes the power of the old uid to go back to the old gid.
    set_effective_uid(own_uid)?;
    set_effective_gid(own_gid)?;
    entered?;
    result.ok_or_else(|| io::ErrorKind::PermissionDenied.into())
}

fn set_effective_uid(uid: Uid) -> io::Result<()> {
    Ok(rustix::thread::set_thread_res_uid(None, Some(uid), None)?)
}

fn set_effective_gid(gid: Gid) -> io::Result<()> {
    Ok(rustix::thread::set_thread_res_gid(None, Some(gid), None)?)
}

/// A child that holds namespaces until it is dropped.
struct Holder {
    pid: Pid,
    handle: OwnedFd,
}

impl Holder {
    fn fork(namespaces: UnshareFlags) -> io::Result<Self> {
        let parent = rustix::process::getpid();
        let flags = i64::from(namespaces.bits()) | i64::from(libc::SIGCHLD);
        #[expect(unsafe_code, reason = "rustix has no clone")]
        // SAFETY: without a stack and without CLONE_VM this is fork(2): the child goes on here on copies of this thread's
        // stack and memory. It is the only thread of its process and may find locks held, so it makes nothing but raw
        // system calls, in `hold`, and never comes back.
        let result = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
        match result {
            -1 => Err(io::Error::last_os_error()),
            0 => hold(parent),
            pid => Self::of(i32::try_from(pid).ok().and_then(Pid::from_raw)),
        }
    }

    fn of(pid: Option<Pid>) -> io::Result<Self> {
        let pid = pid.ok_or(io::ErrorKind::InvalidData)?;
        // A child that was not collected keeps its number, so this is the one.
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => Ok(Self { pid, handle }),
            Err(errno) => {
                let _ended = rustix::process::kill_process(pid, Signal::KILL);
                let _collected = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
                Err(errno.into())
            }
        }
    }

    fn write_map(&self, file: &str, ranges: &[IdRange]) -> Result<(), NamespaceError> {
        let path = self.path(file);
        if ranges.is_empty() {
            return Err(NamespaceError::MapIds { path, source: io::ErrorKind::InvalidInput.into() });
        }
        let mut text = String::new();
        for IdRange { inside, outside, length } in ranges {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "{inside} {outside} {length}");
        }
        // The kernel wants the whole map in one write, which this is.
        std::fs::write(&path, text).map_err(|source| NamespaceError::MapIds { path, source })
    }

    fn open(&self, name: &str) -> Result<OwnedFd, NamespaceError> {
        super::open(&self.path("ns").join(name))
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid.as_raw_nonzero()))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Neither can fail for a child of ours that is not collected yet.
        let _ended = rustix::process::pidfd_send_signal(&self.handle, Signal::KILL);
        let _collected = rustix::process::waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED);
    }
}

/// What the child does: it dies with its parent's thread, and else waits to be killed.
fn hold(parent: Pid) -> ! {
    let _refused = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // Another parent means that ours died before the line above.
    while rustix::process::getppid() == Some(parent) {
        #[expect(unsafe_code, reason = "rustix has no pause")]
        // SAFETY: it takes no argument and touches no memory of ours.
        let _interrupted = unsafe { libc::syscall(libc::SYS_pause) };
    }
    #[expect(unsafe_code, reason = "exit handlers are the parent's")]
    // SAFETY: it ends the process at once and returns to nobody.
    unsafe {
        libc::_exit(0)
    }
}

/// Pins any namespace, the calling thread's or not, on a new file at `path`, whose directory must exist. When it fails the
/// file is gone again.
///
/// # Errors
/// Something is at `path` already, or the mount failed or did not lead to the namespace it should.
pub fn pin(namespace: BorrowedFd<'_>, path: &Path) -> Result<(), NamespaceError> {
    super::create_pin(path)?;
    let pinned = super::mount_namespace(namespace, path);
    if pinned.is_err() {
        // The first failure is the one to report; the file is empty and is removed by the next unpin in any case.
        let _ = super::unpin(path);
    }
    pinned
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u32 = 300_000;

    fn ranges(length: u32) -> [IdRange; 1] {
        [IdRange { inside: 0, outside: FIRST, length }]
    }

    #[test]
    fn a_user_namespace_owns_what_was_made_with_it() {
        let kinds = [NamespaceKind::Network, NamespaceKind::Ipc, NamespaceKind::Uts];
        let made = make_user(&ranges(65536), &ranges(65536), &kinds).expect("made");
        assert_eq!(made.owned.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), kinds);
        let user = super::super::identity(made.user.as_fd()).expect("fstat");
        for (kind, namespace) in &made.owned {
            let owner = rustix_owner(namespace.as_fd()).expect("owner");
            assert_eq!(super::super::identity(owner.as_fd()).expect("fstat"), user, "{kind:?}");
        }
    }

    #[test]
    fn parameters_of_an_owned_namespace_are_its_roots() {
        let made = make_user(&ranges(1), &ranges(1), &[NamespaceKind::Ipc]).expect("made");
        let path = Path::new("kernel/shm_rmid_forced");
        let written = super::super::run_in_all(&made.owned, || {
            as_effective(FIRST, FIRST, || crate::sysctl::write(path, "1")).expect("ids").expect("written");
            assert!(rustix::process::geteuid().is_root(), "the ids are back");
            crate::sysctl::read(path).expect("read")
        });
        assert_eq!(written.expect("entered"), "1");
    }

    #[test]
    fn a_user_namespace_is_pinned_like_any_other() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("user");
        let made = make_user(&ranges(10), &ranges(10), &[]).expect("made");
        pin(made.user.as_fd(), &path).expect("pinned");
        let again = super::super::open(&path).expect("open");
        let identity = |fd: &OwnedFd| super::super::identity(fd.as_fd()).expect("fstat");
        assert_eq!(identity(&again), identity(&made.user));
        assert!(matches!(pin(made.user.as_fd(), &path), Err(NamespaceError::CreatePin { .. })));
        super::super::unpin(&path).expect("unpin");
        assert!(!path.exists());
    }

    #[test]
    fn maps_the_kernel_does_not_take_are_refused() {
        let one = ranges(10);
        let overlapping = [one[0], one[0]];
        for (uids, gids) in [(&overlapping[..], &one[..]), (&one, &overlapping), (&[], &one)] {
            let error = make_user(uids, gids, &[]).expect_err("refused");
            assert!(matches!(error, NamespaceError::MapIds { .. }), "{error}");
        }
    }

    /// The user namespace that owns a namespace: `NS_GET_USERNS`.
    fn rustix_owner(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        use std::os::fd::{AsRawFd, FromRawFd};
        const NS_GET_USERNS: libc::Ioctl = 0xb701;
        #[expect(unsafe_code, reason = "rustix has no such request")]
        // SAFETY: the request takes no argument.
        let result = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_USERNS) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        #[expect(unsafe_code, reason = "the kernel gives a number")]
        // SAFETY: the kernel has just made this descriptor for us alone.
        Ok(unsafe { OwnedFd::from_raw_fd(result) })
    }
}
