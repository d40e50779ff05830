//! Owner, mode, extended attributes and times of an extracted file, in the order in which they survive each other.
//!
//! Changing the owner drops set-uid bits and file capabilities, so it comes first; times come last. Attributes that
//! would change what overlay itself does (`trusted.overlay.*`) are never taken from an archive, nor is the SELinux
//! label, which the mount decides.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::tar::{Entry, Kind, Time};

/// What to do when the file system refuses a change of owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnChownError {
    /// The layer fails.
    Fail,
    /// The file stays with its owner.
    Ignore,
}

/// What was tried, and why it failed.
type Failure = (&'static str, io::Error);

/// Sets owner, mode and extended attributes of an open file or directory.
pub(crate) fn set(file: BorrowedFd<'_>, entry: &Entry, on_chown_error: OnChownError) -> Result<(), Failure> {
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    tolerate(rustix::fs::fchown(file, Some(uid), Some(gid)), on_chown_error)?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode)).map_err(|errno| ("setting the mode of", errno.into()))?;
    for (name, value) in permitted_xattrs(entry) {
        supported(rustix::fs::fsetxattr(file, name.as_c_str(), value, XattrFlags::empty()))?;
    }
    Ok(())
}

/// Sets everything on a file that cannot be opened: a link, a device, a pipe.
pub(crate) fn set_at(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    entry: &Entry,
    on_chown_error: OnChownError,
) -> Result<(), Failure> {
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    tolerate(rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags), on_chown_error)?;
    if entry.kind != Kind::Symlink {
        let mode = Mode::from_raw_mode(entry.mode);
        // The name was just made in a directory nobody else can reach, and it is not a link.
        rustix::fs::chmodat(parent, name, mode, AtFlags::empty())
            .map_err(|errno| ("setting the mode of", errno.into()))?;
    }
    let path = path_through(parent).join(name);
    for (name, value) in permitted_xattrs(entry) {
        supported(rustix::fs::lsetxattr(&path, name.as_c_str(), value, XattrFlags::empty()))?;
    }
    rustix::fs::utimensat(parent, name, &times(entry.atime, entry.mtime), flags)
        .map_err(|errno| ("setting the times of", errno.into()))
}

/// Sets the times of an open file.
pub(crate) fn set_times(file: BorrowedFd<'_>, entry: &Entry) -> Result<(), Failure> {
    rustix::fs::futimens(file, &times(entry.atime, entry.mtime)).map_err(|errno| ("setting the times of", errno.into()))
}

/// Marks a directory as hiding what the lower layers have there.
pub(crate) fn set_opaque(directory: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::setxattr(path_through(directory), "trusted.overlay.opaque", b"y", XattrFlags::empty())?)
}

/// Times in the kernel's form.
pub(crate) fn times(access: Time, modification: Time) -> Timestamps {
    let convert = |time: Time| Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    Timestamps { last_access: convert(access), last_modification: convert(modification) }
}

/// A path to what a descriptor refers to, for calls that want a path.
fn path_through(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}

fn permitted_xattrs(entry: &Entry) -> impl Iterator<Item = (CString, &[u8])> {
    entry.xattrs.iter().filter_map(|(name, value)| {
        let denied = name.starts_with(b"trusted.overlay.") || name.as_slice() == b"security.selinux";
        let name = (!denied).then(|| CString::new(OsStr::from_bytes(name).as_bytes()).ok())??;
        Some((name, value.as_slice()))
    })
}

fn tolerate(outcome: rustix::io::Result<()>, on_error: OnChownError) -> Result<(), Failure> {
    match outcome {
        Err(_) if on_error == OnChownError::Ignore => Ok(()),
        outcome => outcome.map_err(|errno| ("setting the owner of", errno.into())),
    }
}

/// A file system without a class of extended attributes is no reason to refuse an image.
fn supported(outcome: rustix::io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Ok(()) | Err(Errno::NOTSUP) => Ok(()),
        Err(errno) => Err(("setting an extended attribute of", errno.into())),
    }
}
