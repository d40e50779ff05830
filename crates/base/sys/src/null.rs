//! A null device apart from the host's.
//!
//! An OCI runtime gives the standard streams of a container in a user namespace to that namespace's root, and crun before
//! 1.9 asks no further when a stream is `/dev/null`: the host's own device then belongs to a container. So what a runtime
//! gets is a device of its own, on a file system that nobody else sees.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

/// Major and minor number of the null device (`mem` in the kernel's devices.txt).
const NULL: (u32, u32) = (1, 3);
const NAME: &str = "null";

/// A null device apart from the host's; it is gone when this and all that was opened is.
#[derive(Debug)]
pub struct NullDevice {
    /// The root of its file system, which is attached nowhere.
    directory: OwnedFd,
}

impl NullDevice {
    /// Makes it.
    ///
    /// # Errors
    /// Making a file system (`CAP_SYS_ADMIN`) or a device (`CAP_MKNOD`) is not allowed.
    pub fn make() -> io::Result<Self> {
        let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_set_string(context.as_fd(), "mode", "700")?;
        rustix::mount::fsconfig_set_string(context.as_fd(), "nr_inodes", "2")?;
        rustix::mount::fsconfig_create(context.as_fd())?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let directory = rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        let (major, minor) = NULL;
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(&directory, NAME, FileType::CharacterDevice, Mode::from_raw_mode(0o666), device)?;
        Ok(Self { directory })
    }

    /// Opens it for reading and writing.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn open(&self) -> io::Result<OwnedFd> {
        Ok(rustix::fs::openat(&self.directory, NAME, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_null_and_not_the_hosts() {
        let null = NullDevice::make().expect("made").open().expect("opened");
        assert_eq!(rustix::io::write(&null, b"gone").expect("written"), 4);
        assert_eq!(rustix::io::read(&null, &mut [0u8; 8]).expect("read"), 0);
        let (own, host) = (rustix::fs::fstat(&null).expect("fstat"), rustix::fs::stat("/dev/null").expect("stat"));
        assert_eq!(own.st_rdev, host.st_rdev);
        assert_ne!((own.st_dev, own.st_ino), (host.st_dev, host.st_ino));
    }
}
