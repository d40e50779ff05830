//! Kernel namespaces: made and entered on threads of their own, pinned on files.
//!
//! A thread is the unit the kernel moves between namespaces, so nothing here touches the caller's thread: the work
//! runs on a fresh thread that enters (or makes) the namespaces first and ends afterwards. A namespace outlives its
//! thread when it is *pinned*: bind-mounted on a file, as `ip netns` does. See namespaces(7), setns(2), unshare(2).
//!
//! Invariant: a path counts as a namespace only after the kernel said that its file system is nsfs, so that the plain
//! file a reboot or an unmount leaves behind is never mistaken for one.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountPropagationFlags, UnmountFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

mod user;

pub use user::{IdRange, UserNamespace, as_effective, make_user, pin};

/// `NSFS_MAGIC` of linux/magic.h.
const NSFS_MAGIC: u64 = 0x6e73_6673;
/// How many mounts stacked on one pin are taken off; one is normal.
const STACKED_MOUNTS_MAX: usize = 16;
/// Stack of the threads that work in namespaces.
const STACK_SIZE_BYTES: usize = 512 << 10;

/// A kind of namespace that a thread of a multi-threaded process can make for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NamespaceKind {
    /// Links, addresses, routes, sockets, packet filters.
    Network,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host and domain name.
    Uts,
}

impl NamespaceKind {
    /// The file of this kind in `/proc/<pid>/ns`.
    #[must_use]
    pub fn proc_name(self) -> &'static str {
        match self {
            Self::Network => "net",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
        }
    }

    fn unshare_flag(self) -> UnshareFlags {
        match self {
            Self::Network => UnshareFlags::NEWNET,
            Self::Ipc => UnshareFlags::NEWIPC,
            Self::Uts => UnshareFlags::NEWUTS,
        }
    }

    fn link_type(self) -> LinkNameSpaceType {
        match self {
            Self::Network => LinkNameSpaceType::Network,
            Self::Ipc => LinkNameSpaceType::InterProcessCommunication,
            Self::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
        }
    }
}

/// What tells one live namespace from every other: its inode on nsfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NamespaceIdentity {
    device: u64,
    inode: u64,
}

/// A namespace could not be made, entered, pinned or released.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// No thread.
    #[error("cannot start a thread to work in a namespace")]
    StartThread {
        /// Why.
        source: io::Error,
    },
    /// The kernel refused new namespaces.
    #[error("cannot make new namespaces")]
    Make {
        /// Why.
        source: io::Error,
    },
    /// The kernel refused a map of a user namespace.
    #[error("cannot map ids by {path}")]
    MapIds {
        /// The file of the map.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A namespace file could not be opened.
    #[error("cannot open the namespace {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is there, but no namespace is on it.
    #[error("no namespace is pinned on {path}")]
    NotPinned {
        /// The file.
        path: PathBuf,
    },
    /// The kernel refused to move the thread.
    #[error("cannot enter the namespace")]
    Enter {
        /// Why.
        source: io::Error,
    },
    /// The file to pin on could not be made, or exists.
    #[error("cannot create {path} to pin a namespace on")]
    CreatePin {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The mount failed.
    #[error("cannot pin a namespace on {path}")]
    Pin {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A pin could not be unmounted.
    #[error("cannot unmount the namespace pinned on {path}")]
    Unmount {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A pin's file could not be removed.
    #[error("cannot remove {path}, on which a namespace was pinned")]
    RemovePin {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Runs `work` on a thread of its own that has new namespaces of these kinds and shares all others with the caller.
/// The namespaces end with the thread unless `work` pins them. Blocks until `work` returns; a panic in it continues here.
///
/// # Errors
/// No thread, or no namespaces ([`NamespaceError::StartThread`], [`NamespaceError::Make`]); `work` did not run then.
pub fn run_in_new<T: Send>(kinds: &[NamespaceKind], work: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
    let flags = kinds.iter().fold(UnshareFlags::empty(), |flags, kind| flags | kind.unshare_flag());
    on_own_thread(|| {
        unshare(flags).map_err(|source| NamespaceError::Make { source })?;
        Ok(work())
    })
}

/// Runs `work` on a thread of its own inside `namespace`, which must be of this kind. Blocks until `work` returns;
/// a panic in it continues here.
///
/// # Errors
/// No thread, or the kernel refused the move ([`NamespaceError::Enter`]); `work` did not run then.
pub fn run_in<T: Send>(
    namespace: BorrowedFd<'_>,
    kind: NamespaceKind,
    work: impl FnOnce() -> T + Send,
) -> Result<T, NamespaceError> {
    on_own_thread(|| {
        rustix::thread::move_into_link_name_space(namespace, Some(kind.link_type()))
            .map_err(|errno| NamespaceError::Enter { source: errno.into() })?;
        Ok(work())
    })
}

/// As [`run_in`], inside several namespaces.
///
/// # Errors
/// As [`run_in`].
pub fn run_in_all<T: Send>(
    namespaces: &[(NamespaceKind, OwnedFd)],
    work: impl FnOnce() -> T + Send,
) -> Result<T, NamespaceError> {
    on_own_thread(|| {
        for (kind, namespace) in namespaces {
            rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(kind.link_type()))
                .map_err(|errno| NamespaceError::Enter { source: errno.into() })?;
        }
        Ok(work())
    })
}

/// Runs `work` on a thread of its own that sees the caller's mounts and keeps its own to itself: they end with the thread.
///
/// # Errors
/// As [`run_in_new`].
pub fn run_in_own_mounts<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
    on_own_thread(|| {
        unshare(UnshareFlags::NEWNS).map_err(|source| NamespaceError::Make { source })?;
        let keep = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", keep).map_err(|errno| NamespaceError::Make { source: errno.into() })?;
        Ok(work())
    })
}

/// Opens the namespace pinned on `path`.
///
/// # Errors
/// The file cannot be opened, or no namespace is pinned on it.
pub fn open(path: &Path) -> Result<OwnedFd, NamespaceError> {
    let namespace = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| open_error(path, errno))?;
    let filesystem = rustix::fs::fstatfs(&namespace).map_err(|errno| open_error(path, errno))?;
    if u64::try_from(filesystem.f_type).ok() == Some(NSFS_MAGIC) {
        Ok(namespace)
    } else {
        Err(NamespaceError::NotPinned { path: path.to_owned() })
    }
}

/// Opens the namespace of this kind in which the calling thread is.
///
/// # Errors
/// `/proc` is not what it should be.
pub fn open_current(kind: NamespaceKind) -> Result<OwnedFd, NamespaceError> {
    open(&current_path(kind))
}

/// Which namespace this descriptor refers to.
///
/// # Errors
/// The kernel refused fstat.
pub fn identity(namespace: BorrowedFd<'_>) -> io::Result<NamespaceIdentity> {
    let stat = rustix::fs::fstat(namespace)?;
    Ok(NamespaceIdentity { device: stat.st_dev, inode: stat.st_ino })
}

/// Pins the calling thread's namespace of this kind on a new file at `path`, whose directory must exist. When it
/// fails the file is gone again.
///
/// # Errors
/// Something is at `path` already, or the mount failed or did not lead to the namespace it should.
pub fn pin_current(kind: NamespaceKind, path: &Path) -> Result<(), NamespaceError> {
    pin(open_current(kind)?.as_fd(), path)
}

/// Takes the namespace off `path` and removes the file. A pin, or a file, that is not there is no error.
///
/// # Errors
/// The kernel refused to unmount or to unlink.
pub fn unpin(path: &Path) -> Result<(), NamespaceError> {
    use rustix::io::Errno;
    for _ in 0..STACKED_MOUNTS_MAX {
        match rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR) => break,
            Err(errno) => {
                return Err(NamespaceError::Unmount { path: path.to_owned(), source: errno.into() });
            }
        }
    }
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
        Err(errno) => Err(NamespaceError::RemovePin { path: path.to_owned(), source: errno.into() }),
    }
}

fn create_pin(path: &Path) -> Result<(), NamespaceError> {
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o444))
        .map(drop)
        .map_err(|errno| NamespaceError::CreatePin { path: path.to_owned(), source: errno.into() })
}

fn mount_namespace(namespace: BorrowedFd<'_>, path: &Path) -> Result<(), NamespaceError> {
    let pin_error = |source: io::Error| NamespaceError::Pin { path: path.to_owned(), source };
    let source = format!("/proc/thread-self/fd/{}", namespace.as_raw_fd());
    rustix::mount::mount_bind(source, path).map_err(|errno| pin_error(errno.into()))?;
    let mounted = identity(open(path)?.as_fd()).map_err(pin_error)?;
    let wanted = identity(namespace).map_err(pin_error)?;
    if mounted == wanted { Ok(()) } else { Err(NamespaceError::NotPinned { path: path.to_owned() }) }
}

fn current_path(kind: NamespaceKind) -> PathBuf {
    Path::new("/proc/thread-self/ns").join(kind.proc_name())
}

fn open_error(path: &Path, errno: rustix::io::Errno) -> NamespaceError {
    NamespaceError::Open { path: path.to_owned(), source: errno.into() }
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T, NamespaceError> + Send) -> Result<T, NamespaceError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("namespace".to_owned())
            .stack_size(STACK_SIZE_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|source| NamespaceError::StartThread { source })?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[expect(unsafe_code, reason = "unshare can take a thread's descriptor table away, which rustix cannot rule out")]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    debug_assert!(!flags.contains(UnshareFlags::FILES), "namespaces only");
    // SAFETY: the flags are built from `NamespaceKind` alone or are NEWNS, so FILES is not among them and the descriptor
    // table stays shared by all threads.
    unsafe { rustix::thread::unshare_unsafe(flags) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current(kind: NamespaceKind) -> NamespaceIdentity {
        identity(open_current(kind).expect("own namespace").as_fd()).expect("fstat")
    }

    #[test]
    fn a_pin_leads_back_to_the_namespace_that_was_made() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("net");
        let made = run_in_new(&[NamespaceKind::Network], || {
            pin_current(NamespaceKind::Network, &path).expect("pin");
            current(NamespaceKind::Network)
        })
        .expect("new namespace");
        assert_ne!(made, current(NamespaceKind::Network), "the caller stays where it was");

        let namespace = open(&path).expect("open pin");
        let entered = run_in(namespace.as_fd(), NamespaceKind::Network, || current(NamespaceKind::Network));
        assert_eq!(entered.expect("enter"), made);
        assert!(matches!(run_in(namespace.as_fd(), NamespaceKind::Uts, || ()), Err(NamespaceError::Enter { .. })));

        unpin(&path).expect("unpin");
        unpin(&path).expect("unpin again");
        assert!(!path.exists());
    }

    #[test]
    fn a_plain_file_is_no_namespace_and_never_replaced() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("net");
        std::fs::write(&path, "").expect("write");
        assert!(matches!(open(&path), Err(NamespaceError::NotPinned { .. })));
        assert!(matches!(pin_current(NamespaceKind::Network, &path), Err(NamespaceError::CreatePin { .. })));
        assert!(matches!(open(&dir.path().join("none")), Err(NamespaceError::Open { .. })));
        unpin(&path).expect("unpin removes the file");
        unpin(&path.join("below")).expect("nothing there");
    }

    #[test]
    fn a_panic_in_a_namespace_reaches_the_caller() {
        let result = std::panic::catch_unwind(|| run_in_new(&[NamespaceKind::Uts], || panic!("in there")));
        assert!(result.is_err());
    }
}
