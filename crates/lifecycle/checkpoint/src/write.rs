//! Writing an archive: nameless until it is complete and on disk, so that nothing half-made is ever found.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use crio_types::{Classified, ErrorKind};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::{Patience, mark};

/// An archive could not be written. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The place for it cannot be one.
    #[error("{}: {reason}", path.display())]
    BadLocation {
        /// The place.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A step failed.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl Classified for WriteError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::BadLocation { .. } => ErrorKind::InvalidArgument,
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::TimedOut => ErrorKind::DeadlineExceeded,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::ResourceExhausted,
                _ => ErrorKind::Internal,
            },
        }
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WriteError {
    let path = path.to_owned();
    move |source| WriteError::File { doing, path, source }
}

/// An archive being written.
pub struct ArchiveWriter {
    location: PathBuf,
    directory: OwnedFd,
    name: OsString,
    builder: Builder<Hashing>,
    patience: Patience,
}

/// The file, with the digest of what was written to it.
struct Hashing {
    file: File,
    hash: Sha256,
    patience: Patience,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patience.check()?;
        let length = self.file.write(bytes)?;
        self.hash.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl std::fmt::Debug for ArchiveWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchiveWriter").field("location", &self.location).finish_non_exhaustive()
    }
}

impl ArchiveWriter {
    /// Begins an archive that will be at `location`. Its memory pages are nobody's business: only root may read it.
    ///
    /// # Errors
    /// The location is no absolute path of a file in a directory that exists, or the disk refuses.
    pub fn create(location: &Path, patience: &Patience) -> Result<Self, WriteError> {
        let bad = |reason| WriteError::BadLocation { path: location.to_owned(), reason };
        let (Some(parent), Some(name)) = (location.parent(), location.file_name()) else {
            return Err(bad("is no path of a file"));
        };
        if !location.is_absolute() {
            return Err(bad("is no absolute path"));
        }
        if location.is_dir() {
            return Err(bad("is a directory"));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, parent, flags, Mode::empty()).map_err(|errno| match errno {
            rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR => bad("is in no directory that exists"),
            errno => failed("opening the directory of", location)(errno.into()),
        })?;
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, ".", flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| failed("making", location)(errno.into()))?;
        let hashing = Hashing { file: file.into(), hash: Sha256::new(), patience: patience.clone() };
        Ok(Self {
            location: location.to_owned(),
            name: name.to_owned(),
            directory,
            builder: Builder::new(hashing),
            patience: patience.clone(),
        })
    }

    /// Adds a value as a member of JSON.
    ///
    /// # Errors
    /// The disk refuses, or the time is over.
    pub fn json(&mut self, member: &str, value: &impl Serialize) -> Result<(), WriteError> {
        let text =
            serde_json::to_vec_pretty(value).map_err(|error| failed("encoding", Path::new(member))(error.into()))?;
        let mut header = header(EntryType::Regular, text.len() as u64);
        let added = self.builder.append_data(&mut header, member, text.as_slice());
        added.map_err(failed("writing", &self.location))
    }

    /// Adds a file of the host, as long as it is now or `limit` bytes of it. One that does not exist is left out.
    ///
    /// # Errors
    /// It is no regular file, the disk refuses, or the time is over.
    pub fn file(&mut self, member: impl AsRef<Path>, path: &Path, limit: u64) -> Result<(), WriteError> {
        match open_regular(path) {
            Ok(file) => self.open_file(member.as_ref(), path, file, limit),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("opening", path)(error)),
        }
    }

    /// Adds a directory with the regular files in it.
    ///
    /// # Errors
    /// As [`ArchiveWriter::file`].
    pub fn directory(&mut self, member: &str, path: &Path) -> Result<(), WriteError> {
        let mut header = header(EntryType::Directory, 0);
        header.set_mode(0o700);
        let added = self.builder.append_data(&mut header, format!("{member}/"), io::empty());
        added.map_err(failed("writing", &self.location))?;
        let listed = std::fs::read_dir(path).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        let mut entries = listed.map_err(failed("listing", path))?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            if entry.file_type().map_err(failed("examining", &entry.path()))?.is_file() {
                self.file(Path::new(member).join(entry.file_name()), &entry.path(), u64::MAX)?;
            }
        }
        Ok(())
    }

    fn open_file(&mut self, member: &Path, path: &Path, file: File, limit: u64) -> Result<(), WriteError> {
        let size = file.metadata().map_err(failed("examining", path))?.len().min(limit);
        let mut header = header(EntryType::Regular, size);
        // A log goes on growing: what comes later is not of this checkpoint. One that was started over is filled up.
        let contents = self.patience.over(file).take(size).chain(io::repeat(0)).take(size);
        self.builder.append_data(&mut header, member, contents).map_err(failed("writing", &self.location))
    }

    /// Ends the archive, has it on disk, marks it as ours, and gives it its name, in place of whatever had it.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn commit(self) -> Result<(), WriteError> {
        let location = self.location;
        let Hashing { file, hash, .. } = self.builder.into_inner().map_err(failed("writing", &location))?;
        file.sync_all().map_err(failed("syncing", &location))?;
        mark::set(&file, &mark::value(hash)).map_err(failed("marking", &location))?;
        give_name(&file, &self.directory, &self.name).map_err(failed("naming", &location))?;
        rustix::fs::fsync(&self.directory).map_err(|errno| failed("syncing the directory of", &location)(errno.into()))
    }
}

/// A nameless file cannot take a name that is taken, so it gets a temporary one first.
fn give_name(file: &File, directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let random = hex::encode(&crio_sys::random::bytes32()?[..8]);
    let temporary = format!(".checkpoint-{random}");
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, own, directory, temporary.as_str(), AtFlags::SYMLINK_FOLLOW)?;
    let renamed = rustix::fs::renameat(directory, temporary.as_str(), directory, name);
    if renamed.is_err() {
        // The failure to rename it is the one to tell.
        let _left = rustix::fs::unlinkat(directory, temporary.as_str(), AtFlags::empty());
    }
    Ok(renamed?)
}

fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) == FileType::RegularFile {
        Ok(file.into())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

#[cfg(test)]
mod tests;
