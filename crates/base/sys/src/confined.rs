//! File operations below a directory whose contents somebody else chose: an image, a container's root file system.
//!
//! Every path is resolved by the kernel with the directory as its root (`openat2`, `RESOLVE_IN_ROOT`): absolute
//! links, `..` and magic links stay inside, also when the tree is changed while it is walked. Operations that create
//! or remove act on a parent's descriptor and a single name, and never follow a link at that name.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

mod remove;

pub use remove::{remove_entry, remove_tree};

/// How often a resolution is repeated that a concurrent rename disturbed.
const RESOLVE_ATTEMPTS: usize = 64;

/// A directory as the root of its own world.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
}

impl Root {
    /// The directory at `path`, which the caller trusts.
    ///
    /// # Errors
    /// It does not exist or is not a directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { directory })
    }

    /// The directory behind this descriptor.
    #[must_use]
    pub fn from_fd(directory: OwnedFd) -> Self {
        Self { directory }
    }

    /// Opens anything below the root with these flags; links are followed inside the root.
    ///
    /// # Errors
    /// As `openat2`.
    pub fn open_at(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        for _ in 0..RESOLVE_ATTEMPTS {
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            match rustix::fs::openat2(&self.directory, path, flags | OFlags::CLOEXEC, mode, resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                outcome => return Ok(outcome?),
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// Where something below the root is for everybody else, every link on the way followed inside the root, and what it
    /// is. The answer holds for as long as nobody changes the tree.
    ///
    /// # Errors
    /// It does not exist.
    pub fn real_path(&self, path: &Path) -> io::Result<(PathBuf, FileType)> {
        let found = self.open_at(path, OFlags::PATH, Mode::empty())?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode);
        Ok((path_of(&found)?, kind))
    }

    /// Opens a directory below the root, for use as the parent of further operations.
    ///
    /// # Errors
    /// It does not exist or is not a directory.
    pub fn open_directory(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_at(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
    }

    /// Opens a regular file for reading. Pipes and devices are refused without waiting on them.
    ///
    /// # Errors
    /// It does not exist, or is not a regular file ([`io::ErrorKind::InvalidInput`]).
    pub fn open_file(&self, path: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = self.open_at(path, flags, Mode::empty())?;
        if FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) == FileType::RegularFile {
            Ok(File::from(fd))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
        }
    }

    /// Reads a regular file of at most `limit_bytes`.
    ///
    /// # Errors
    /// As [`Root::open_file`]; [`io::ErrorKind::FileTooLarge`] beyond the limit.
    pub fn read_file(&self, path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
        let mut contents = Vec::new();
        self.open_file(path)?.take(limit_bytes.saturating_add(1)).read_to_end(&mut contents)?;
        if contents.len() as u64 > limit_bytes {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than allowed"));
        }
        Ok(contents)
    }

    /// Makes a directory and those above it where they are missing, and opens it. Links on the way are followed
    /// inside the root; a dangling link is an error.
    ///
    /// # Errors
    /// As `mkdirat` and `openat2`.
    pub fn create_directories(&self, path: &Path, mode: Mode) -> io::Result<OwnedFd> {
        self.create_directories_of(path, mode, None)
    }

    /// As [`Root::create_directories`]; what is made belongs to this uid and gid.
    ///
    /// # Errors
    /// As [`Root::create_directories`], or the owner cannot be set.
    pub fn create_directories_of(&self, path: &Path, mode: Mode, owner: Option<(u32, u32)>) -> io::Result<OwnedFd> {
        match self.open_directory(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            outcome => return outcome,
        }
        let mut reached = PathBuf::new();
        for component in path.components() {
            match component {
                Component::Normal(name) => {
                    let parent = self.open_directory(&reached)?;
                    match rustix::fs::mkdirat(&parent, name, mode) {
                        Ok(()) => {
                            if let Some((uid, gid)) = owner {
                                let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
                                rustix::fs::chownat(&parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
                            }
                            reached.push(name);
                        }
                        Err(Errno::EXIST) => reached.push(name),
                        Err(error) => return Err(error.into()),
                    }
                }
                Component::ParentDir => reached.push(".."),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        self.open_directory(&reached)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// The path by which the kernel knows what is open here.
///
/// # Errors
/// `/proc` is not mounted.
pub fn path_of(open: impl AsFd) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", open.as_fd().as_raw_fd()))
}

/// What kind of file `name` in `parent` is, without following it; `None` when there is none.
///
/// # Errors
/// As `fstatat`, except that a missing file is not an error.
pub fn file_type(parent: impl AsFd, name: &OsStr) -> io::Result<Option<FileType>> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
