//! Giving the files of a volume a container's label.
//!
//! The walk goes from descriptor to descriptor and never through a link, so that a tree somebody changes meanwhile leads
//! nowhere else. Directories the node itself lives in are refused: with another label it would not boot.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crio_types::{Classified, ErrorKind};
use rustix::fs::{Dir, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

const ATTRIBUTE: &str = "security.selinux";
/// How deep a volume may be: each level is an open directory.
const MAX_DEPTH: usize = 256;

/// Directories that are never relabelled. What lies below them may be.
const PROTECTED: [&str; 25] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/etc/passwd",
    "/etc/pki",
    "/etc/shadow",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/tmp",
];

/// Why a volume cannot get a label.
#[derive(Debug, thiserror::Error)]
pub enum RelabelError {
    /// The node needs the label it has.
    #[error("relabelling {} is not allowed: the node itself uses it", path.display())]
    Protected {
        /// What was to be relabelled.
        path: PathBuf,
    },
    /// It is deeper than any volume.
    #[error("{} is nested more than {MAX_DEPTH} directories deep", path.display())]
    TooDeep {
        /// What was to be relabelled.
        path: PathBuf,
    },
    /// A file could not be labelled.
    #[error("labelling the files of {}", path.display())]
    Label {
        /// What was to be relabelled.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Classified for RelabelError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Protected { .. } | Self::TooDeep { .. } => ErrorKind::InvalidArgument,
            Self::Label { .. } => ErrorKind::Internal,
        }
    }
}

/// Gives the file or directory that is open here, known as `path`, and everything below it this label. A file system
/// without labels is left alone. Blocking: visits every file.
///
/// # Errors
/// See [`RelabelError`].
pub fn relabel(open: impl AsFd, path: &Path, label: &str) -> Result<(), RelabelError> {
    if PROTECTED.iter().any(|protected| path == Path::new(protected)) {
        return Err(RelabelError::Protected { path: path.to_owned() });
    }
    let walked = set(&format!("/proc/self/fd/{}", open.as_fd().as_raw_fd()), label).and_then(|()| {
        match rustix::fs::openat(&open, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(directory) => walk(directory, label),
            Err(Errno::NOTDIR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    });
    match walked {
        Ok(true) => Ok(()),
        Ok(false) => Err(RelabelError::TooDeep { path: path.to_owned() }),
        Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => Ok(()),
        Err(source) => Err(RelabelError::Label { path: path.to_owned(), source }),
    }
}

/// Labels everything below a directory. Returns whether all of it was within reach.
fn walk(top: OwnedFd, label: &str) -> io::Result<bool> {
    let mut levels = vec![Dir::new(top)?];
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.next() else {
            levels.pop();
            continue;
        };
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let directory = level.fd()?;
        label_entry(directory, OsStr::from_bytes(name.to_bytes()), label)?;
        if !matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Ok(_) if levels.len() == MAX_DEPTH => return Ok(false),
            Ok(below) => levels.push(Dir::new(below)?),
            // It is no directory (any more), or it went away.
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Labels one name of a directory, a link as itself. One that went away is fine, and so is what is mounted below from a file
/// system without labels.
fn label_entry(directory: BorrowedFd<'_>, name: &OsStr, label: &str) -> io::Result<()> {
    let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.as_bytes());
    let path = CString::new(path)?;
    match rustix::fs::lsetxattr(&path, ATTRIBUTE, label.as_bytes(), XattrFlags::empty()) {
        Ok(()) | Err(Errno::NOENT | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn set(path: &str, label: &str) -> io::Result<()> {
    Ok(rustix::fs::setxattr(path, ATTRIBUTE, label.as_bytes(), XattrFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use rustix::fs::CWD;

    use super::*;

    const LABEL: &str = "system_u:object_r:container_file_t:s0:c1,c2";

    fn opened(path: &Path) -> OwnedFd {
        rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("opened")
    }

    fn label_of(path: &Path) -> String {
        let mut buffer = [0u8; 256];
        let length = rustix::fs::lgetxattr(path, ATTRIBUTE, &mut buffer[..]).unwrap_or(0);
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn every_file_below_gets_it_and_none_beyond_a_link() {
        // Only root may set this attribute where SELinux is not in force; `cargo xtask test` runs as root.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        // Not on tmpfs, which may know no such attribute.
        let top = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("tempdir");
        let volume = top.path().join("volume");
        std::fs::create_dir_all(volume.join("a/b")).expect("mkdir");
        std::fs::write(volume.join("a/b/file"), "").expect("file");
        std::fs::write(top.path().join("outside"), "").expect("file");
        std::os::unix::fs::symlink("../outside", volume.join("link")).expect("link");
        relabel(opened(&volume), &volume, LABEL).expect("labelled");
        for path in ["", "a", "a/b", "a/b/file", "link"] {
            assert_eq!(label_of(&volume.join(path)), LABEL, "{path:?}");
        }
        assert_ne!(label_of(&top.path().join("outside")), LABEL);
        let file = top.path().join("single");
        std::fs::write(&file, "").expect("file");
        relabel(opened(&file), &file, LABEL).expect("labelled");
        assert_eq!(label_of(&file), LABEL);
    }

    #[test]
    fn the_nodes_own_directories_are_refused() {
        for path in ["/", "/etc", "/usr", "/home", "/var/lib", "/tmp"] {
            let error = relabel(opened(Path::new("/proc")), Path::new(path), LABEL).expect_err(path);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }
}
