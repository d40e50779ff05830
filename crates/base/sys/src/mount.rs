//! Mounts: overlay, bind, tmpfs, id-mapped, and taking them off again.
//!
//! Uses the descriptor-based mount calls, so that a mount is complete before it becomes visible. Sources and targets
//! are paths the caller trusts; a path inside a container's tree is opened with [`crate::confined`] first and mounted
//! through its descriptor.

#![expect(unsafe_code, reason = "rustix has no mount_setattr")]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};

mod overlay;

pub use overlay::{Overlay, OverlayError, Writable};
pub use rustix::mount::MountAttrFlags;

/// Whether `path` itself is the root of a mount. A missing path is not.
///
/// # Errors
/// As `statx`.
pub fn is_mount_point(path: &Path) -> io::Result<bool> {
    match rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()) {
        Ok(status) => Ok(status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Detaches what is mounted on `target` and everything below it; users keep what they have open. Returns whether
/// anything was mounted there; a link at `target` is not followed.
///
/// # Errors
/// As `umount2`.
pub fn unmount(target: &Path) -> io::Result<bool> {
    match rustix::mount::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Mounts the directory or file `source` on `target` as well, without the mounts below it.
///
/// # Errors
/// As `mount`.
pub fn bind(source: &Path, target: &Path) -> io::Result<()> {
    Ok(rustix::mount::mount_bind(source, target)?)
}

/// Keeps mount events at `target` from spreading to and from other mount namespaces.
///
/// # Errors
/// As `mount`; `target` is not a mount point.
pub fn make_private(target: &Path) -> io::Result<()> {
    Ok(rustix::mount::mount_change(target, MountPropagationFlags::PRIVATE)?)
}

/// A tmpfs to be mounted.
#[derive(Debug, Clone, Copy)]
pub struct Tmpfs<'a> {
    /// Size in bytes; half of the memory when `None`.
    pub size_bytes: Option<u64>,
    /// Permissions of its root, as `0o1777`.
    pub mode: u32,
    /// `nosuid`, `nodev` and so on.
    pub attributes: MountAttrFlags,
    /// SELinux label; empty for none.
    pub label: &'a str,
}

/// Mounts a fresh tmpfs on `target`.
///
/// # Errors
/// As `fsconfig` and `move_mount`.
pub fn tmpfs(target: &Path, options: Tmpfs<'_>) -> io::Result<()> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "mode", format!("{:o}", options.mode))?;
    if let Some(size) = options.size_bytes {
        rustix::mount::fsconfig_set_string(context.as_fd(), "size", size.to_string())?;
    }
    if !options.label.is_empty() {
        rustix::mount::fsconfig_set_string(context.as_fd(), "context", options.label)?;
    }
    rustix::mount::fsconfig_create(context.as_fd())?;
    let mount = rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, options.attributes)?;
    attach(mount.as_fd(), target)
}

/// Makes a detached mount visible at `target`.
///
/// # Errors
/// As `move_mount`.
pub fn attach(mount: impl AsFd, target: &Path) -> io::Result<()> {
    Ok(rustix::mount::move_mount(mount, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// A detached mount of the tree at `source` in which owners are translated by the maps of a user namespace
/// (`MOUNT_ATTR_IDMAP`, Linux 5.12).
///
/// # Errors
/// The file system does not support it, or the namespace has no maps.
pub fn id_mapped(source: &Path, user_namespace: impl AsFd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, source, flags)?;
    map_ids(&tree, user_namespace)?;
    Ok(tree)
}

/// A detached copy of the mounts at and below `source`, which goes on taking part in the propagation of mount events.
///
/// # Errors
/// As `open_tree`.
pub fn copy_tree(source: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    Ok(rustix::mount::open_tree(CWD, source, flags)?)
}

/// Has a detached mount translate owners by the maps of a user namespace; mounts below it stay as they are.
///
/// # Errors
/// As [`id_mapped`].
pub fn map_ids(tree: impl AsFd, user_namespace: impl AsFd) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(user_namespace.as_fd().as_raw_fd()).expect("an open descriptor is not negative"),
    };
    set_attributes(tree.as_fd(), &attributes)
}

fn set_attributes(mount: impl AsFd, attributes: &libc::mount_attr) -> io::Result<()> {
    const EMPTY_PATH: c_int = libc::AT_EMPTY_PATH;
    // SAFETY: the descriptor is borrowed for the call, the path is a static empty C string, and the structure is
    // initialised, lives across the call and is passed with its own size; the kernel only reads it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            EMPTY_PATH,
            std::ptr::from_ref(attributes),
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
