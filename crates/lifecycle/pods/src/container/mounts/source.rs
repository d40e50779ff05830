//! The source of a mount, opened once.
//!
//! The OCI runtime mounts by path, and whoever may write to a directory above a source could swap it for a link in the
//! meantime. So a source is opened here, its path is the one by which the kernel knows what is open, and when the
//! runtime is done, before anything of the container runs, what it mounted must be what was opened.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use crio_sys::confined::{self, Root};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::PodError;

/// A source that is open.
#[derive(Debug)]
pub(crate) struct Source {
    open: OwnedFd,
    /// The path by which the kernel knows it.
    pub(crate) path: PathBuf,
}

/// What the container shall see at a path.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) source: Source,
    /// Where, in the container.
    pub(crate) destination: PathBuf,
}

impl Source {
    /// Opens what is at `path`, every link followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        // As a directory first, which has the kernel mount what is to be mounted there on demand.
        let open = match rustix::fs::openat(CWD, path, flags | OFlags::DIRECTORY, Mode::empty()) {
            Err(Errno::NOTDIR) => rustix::fs::openat(CWD, path, flags, Mode::empty()),
            outcome => outcome,
        }?;
        let path = confined::path_of(&open)?;
        Ok(Self { open, path })
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        let status = rustix::fs::fstat(&self.open)?;
        Ok((status.st_dev, status.st_ino))
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.open.as_fd()
    }
}

/// Whether the container with this first process has at each destination what was opened for it. What `masked` hides
/// again cannot be seen.
pub(crate) fn verify(process: u32, expected: &[Expected], masked: &[String]) -> Result<(), PodError> {
    let top = PathBuf::from(format!("/proc/{process}/root"));
    let looking = || PodError::file("looking at the mounts below", &top);
    let root = Root::open(&top).map_err(looking())?;
    let mut identities = Vec::with_capacity(expected.len());
    for mount in expected {
        identities.push(mount.source.identity().map_err(looking())?);
    }
    for mount in expected.iter().filter(|mount| !masked.iter().any(|path| mount.destination.starts_with(path))) {
        let found = root.open_at(&mount.destination, OFlags::PATH, Mode::empty()).map_err(looking())?;
        let found = rustix::fs::fstat(&found).map_err(|error| looking()(error.into()))?;
        // Two mounts can be at one place, by a link of the image: the later one is seen then.
        if !identities.contains(&(found.st_dev, found.st_ino)) {
            return Err(PodError::MountSwapped {
                source_path: mount.source.path.display().to_string(),
                destination: mount.destination.display().to_string(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_swapped_is_found_out() {
        let top = std::env::temp_dir().join(format!("crio-source-{}", std::process::id()));
        std::fs::create_dir_all(top.join("real")).expect("made");
        std::fs::create_dir_all(top.join("other")).expect("made");
        std::os::unix::fs::symlink("real", top.join("link")).expect("linked");
        let source = Source::open(&top.join("link")).expect("opened");
        assert_eq!(source.path, std::fs::canonicalize(top.join("real")).expect("there"));
        // Our own root stands for the container's: the "mount" is wherever the destination leads now.
        let expected = [Expected { source, destination: top.join("link") }];
        verify(std::process::id(), &expected, &[]).expect("as it was");
        std::fs::remove_file(top.join("link")).expect("removed");
        std::os::unix::fs::symlink("other", top.join("link")).expect("linked");
        let error = verify(std::process::id(), &expected, &[]).expect_err("another directory");
        assert!(error.to_string().contains("/real"), "{error}");
        verify(std::process::id(), &expected, &[top.display().to_string()]).expect("hidden");
        std::fs::remove_dir_all(&top).expect("removed");
    }
}
