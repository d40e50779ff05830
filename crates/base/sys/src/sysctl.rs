//! Writing kernel parameters of the calling thread's namespaces.
//!
//! `/proc/sys` shows each thread the parameters of its own network and IPC namespace (sysctl(5)), so whoever wants to
//! set those of a pod calls this on a thread inside it. Which parameters may be set is the caller's policy; here it is
//! only made sure that the write lands on a parameter: the walk starts at a descriptor known to be the root of procfs
//! and can neither leave that mount nor follow a link.

use std::io;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

/// `PROC_SUPER_MAGIC` of linux/magic.h.
const PROC_MAGIC: u64 = 0x9fa0;
/// Inode of the root of every procfs (`PROC_ROOT_INO`).
const PROC_ROOT_INODE: u64 = 1;

/// Writes `value` to the parameter whose path below `/proc/sys` is `path`, such as `net/ipv4/ip_forward`.
///
/// # Errors
/// There is no such parameter, its directory is over-mounted, `/proc` is not procfs, or the kernel refuses the value.
pub fn write(path: &Path, value: &str) -> io::Result<()> {
    let parameter = open(path, OFlags::WRONLY)?;
    let written = rustix::io::write(&parameter, value.as_bytes())?;
    if written == value.len() {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::WriteZero, "the kernel took only a part of the value"))
    }
}

/// Reads the parameter whose path below `/proc/sys` is `path`, without the final newline.
///
/// # Errors
/// As for [`write()`].
pub fn read(path: &Path) -> io::Result<String> {
    let text = io::read_to_string(std::fs::File::from(open(path, OFlags::RDONLY)?))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

fn open(path: &Path, access: OFlags) -> io::Result<std::os::fd::OwnedFd> {
    let proc = rustix::fs::openat(
        CWD,
        "/proc",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let is_proc = u64::try_from(rustix::fs::fstatfs(&proc)?.f_type).ok() == Some(PROC_MAGIC);
    if !is_proc || rustix::fs::fstat(&proc)?.st_ino != PROC_ROOT_INODE {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "/proc is not the root of a procfs"));
    }
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let sys =
        rustix::fs::openat2(&proc, "sys", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    Ok(rustix::fs::openat2(&sys, path, access | OFlags::CLOEXEC, Mode::empty(), resolve)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{NamespaceKind, run_in_new};

    #[test]
    fn writes_into_the_namespace_of_the_thread() {
        let path = Path::new("net/ipv4/ip_unprivileged_port_start");
        let outside = read(path).expect("read outside");
        let inside = run_in_new(&[NamespaceKind::Network], || {
            write(path, "77")?;
            read(path)
        });
        assert_eq!(inside.expect("namespace").expect("sysctl"), "77");
        assert_eq!(read(path).expect("read outside"), outside);
    }

    #[test]
    fn cannot_leave_the_tree_of_parameters() {
        for path in ["../self/comm", "/proc/self/comm", "net/../../self/comm", "no/such", ""] {
            assert!(write(Path::new(path), "x").is_err(), "{path:?}");
        }
    }
}
