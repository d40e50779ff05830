//! Reading an archive, which is hostile until proved otherwise and treated as such afterwards.
//!
//! It is read twice through one descriptor: once for what it is of, once for the rest. The second reading computes the
//! digest, and what was taken out of the archive counts only when that is the digest of the mark.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crio_storage::{ApplyLimits, MemberKind, Members};
use crio_types::{Classified, ErrorKind};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::member::Member;
use crate::{CONFIG_DUMP, DELETED_FILES, IMAGES, Metadata, Patience, SPEC_DUMP, mark};

/// The largest `config.dump`.
const CONFIG_MAX_BYTES: u64 = 1 << 20;
/// The largest `spec.dump`.
const SPEC_MAX_BYTES: u64 = 8 << 20;
/// The largest `deleted.files`.
const DELETED_MAX_BYTES: u64 = 16 << 20;
/// The most paths in it.
const DELETED_MAX: usize = 100_000;
/// The most files of state: about eight a process.
const IMAGES_MAX: usize = 100_000;
/// What the archive as a whole may be.
const LIMITS: ApplyLimits = ApplyLimits {
    entries: 200_000,
    archive_bytes: 256 << 30,
    path_bytes: 4096,
    header_bytes: 64 << 10,
    sparse_regions: 1,
};
/// The file without which there is no state.
const INVENTORY: &str = "inventory.img";

/// An archive that is not restored.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is none.
    #[error("there is no checkpoint archive {}", path.display())]
    Absent {
        /// Where.
        path: PathBuf,
    },
    /// It cannot be read, or what is in it cannot be written.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// It is not known to be ours.
    #[error("{} is not restored: {reason}", path.display())]
    Untrusted {
        /// The archive.
        path: PathBuf,
        /// What is missing.
        reason: &'static str,
    },
    /// It is no checkpoint.
    #[error("{} is no checkpoint archive: {reason}", path.display())]
    Malformed {
        /// The archive.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Classified for ReadError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Absent { .. } => ErrorKind::NotFound,
            Self::Untrusted { .. } => ErrorKind::PermissionDenied,
            Self::Malformed { .. } => ErrorKind::InvalidArgument,
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::TimedOut => ErrorKind::DeadlineExceeded,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::ResourceExhausted,
                _ => ErrorKind::Internal,
            },
        }
    }
}

/// An archive that was opened.
#[derive(Debug)]
pub struct Checkpoint {
    file: File,
    path: PathBuf,
    mark: String,
    /// Which container it is of.
    pub metadata: Metadata,
    /// Its specification, as JSON. True only when [`Checkpoint::unpack`] has succeeded.
    pub spec: serde_json::Value,
}

/// What was taken out of an archive besides files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unpacked {
    /// What the container took away from its root.
    pub deleted: Vec<PathBuf>,
}

impl Checkpoint {
    /// Opens an archive and reads what it is of.
    ///
    /// # Errors
    /// There is none, it carries no mark, or it is no checkpoint.
    pub fn open(path: &Path, patience: &Patience) -> Result<Self, ReadError> {
        let file = open_file(path)?;
        let failed = |source| ReadError::File { doing: "reading", path: path.to_owned(), source };
        let Some(mark) = mark::get(&file).map_err(failed)? else {
            let reason = "it carries no mark of having been written on this host";
            return Err(ReadError::Untrusted { path: path.to_owned(), reason });
        };
        let (mut metadata, mut spec) = (None, None);
        let mut members = Members::new(patience.over(&file), LIMITS);
        while metadata.is_none() || spec.is_none() {
            let Some(mut member) = members.next_member().map_err(|error| read_error(path, error))? else { break };
            match known(path, member.path(), member.kind())? {
                Member::Config => metadata = Some(json(path, CONFIG_DUMP, &mut member, CONFIG_MAX_BYTES)?),
                Member::Spec => spec = Some(json(path, SPEC_DUMP, &mut member, SPEC_MAX_BYTES)?),
                _ => {}
            }
        }
        let missing = |name: &str| malformed(path, format!("{name} is missing"));
        Ok(Self {
            metadata: metadata.ok_or_else(|| missing(CONFIG_DUMP))?,
            spec: spec.ok_or_else(|| missing(SPEC_DUMP))?,
            path: path.to_owned(),
            mark,
            file,
        })
    }

    /// Takes the archive apart: the state of the processes into the directory `images`, the archive of what changed in the
    /// root to `root`. Nothing else of it is written anywhere.
    ///
    /// # Errors
    /// The archive is not what its mark says, is no checkpoint, or `root` failed. What was written is then of no use.
    pub fn unpack<E: From<ReadError>>(
        &self,
        images: &Path,
        patience: &Patience,
        mut root: impl FnMut(&mut dyn Read) -> Result<(), E>,
    ) -> Result<Unpacked, E> {
        let failed = |doing, source| ReadError::File { doing, path: self.path.clone(), source };
        (&self.file).seek(SeekFrom::Start(0)).map_err(|error| failed("reading", error))?;
        let mut reader = Hashing { reader: patience.over(&self.file), hash: Sha256::new() };
        let mut members = Members::new(&mut reader, LIMITS);
        let mut out = Output::open(images)?;
        let (mut unpacked, mut has_root) = (Unpacked::default(), false);
        while let Some(mut member) = members.next_member().map_err(|error| read_error(&self.path, error))? {
            let (path, kind) = (member.path().to_owned(), member.kind());
            match known(&self.path, &path, kind)? {
                Member::Image(name) => out.image(&self.path, name, &mut member)?,
                Member::RootfsDiff if std::mem::replace(&mut has_root, true) => {
                    return Err(malformed(&self.path, "the changes of the root come twice".to_owned()).into());
                }
                Member::RootfsDiff => root(&mut member)?,
                Member::DeletedFiles => {
                    unpacked.deleted = json(&self.path, DELETED_FILES, &mut member, DELETED_MAX_BYTES)?;
                }
                Member::Config | Member::Spec | Member::Images | Member::Other => {}
            }
        }
        members.finish().map_err(|error| read_error(&self.path, error))?;
        self.check(&mark::value(reader.hash), &out, &unpacked)?;
        Ok(unpacked)
    }

    fn check(&self, digest: &str, out: &Output, unpacked: &Unpacked) -> Result<(), ReadError> {
        if digest != self.mark {
            let reason = "its contents are not what was written on this host";
            return Err(ReadError::Untrusted { path: self.path.clone(), reason });
        }
        if !out.has_inventory {
            return Err(malformed(&self.path, format!("{IMAGES}/{INVENTORY} is missing")));
        }
        if unpacked.deleted.len() > DELETED_MAX {
            return Err(malformed(&self.path, format!("more than {DELETED_MAX} deleted files")));
        }
        Ok(())
    }
}

/// Where the state of the processes goes.
struct Output {
    directory: OwnedFd,
    path: PathBuf,
    count: usize,
    has_inventory: bool,
}

impl Output {
    fn open(path: &Path) -> Result<Self, ReadError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, path, flags, Mode::empty());
        let directory = opened.map_err(|errno| ReadError::File {
            doing: "opening",
            path: path.to_owned(),
            source: errno.into(),
        })?;
        Ok(Self { directory, path: path.to_owned(), count: 0, has_inventory: false })
    }

    fn image(&mut self, archive: &Path, name: &std::ffi::OsStr, member: &mut impl Read) -> Result<(), ReadError> {
        self.count += 1;
        if self.count > IMAGES_MAX {
            return Err(malformed(archive, format!("more than {IMAGES_MAX} files of state")));
        }
        let path = self.path.join(name);
        let failed = |source| ReadError::File { doing: "writing", path: path.clone(), source };
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.directory, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => file,
            Err(rustix::io::Errno::EXIST) => return Err(malformed(archive, format!("{name:?} comes twice"))),
            Err(errno) => return Err(failed(errno.into())),
        };
        io::copy(member, &mut File::from(file)).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => read_error(archive, error),
            _ => failed(error),
        })?;
        self.has_inventory |= name == INVENTORY;
        Ok(())
    }
}

/// What a member is, as far as we know it. A link or a device has no place in an archive.
fn known<'a>(archive: &Path, path: &'a [u8], kind: MemberKind) -> Result<Member<'a>, ReadError> {
    let bad = |reason: &str| malformed(archive, format!("{:?} {reason}", String::from_utf8_lossy(path)));
    let member = Member::of(path).map_err(bad)?;
    match (kind, &member) {
        (MemberKind::File, Member::Images) => Err(bad("is no directory")),
        (MemberKind::File, _) | (MemberKind::Directory, Member::Images | Member::Other) => Ok(member),
        (MemberKind::Directory, _) => Err(bad("is a directory")),
        (MemberKind::Other, _) => Err(bad("is neither a plain file nor a directory")),
    }
}

fn json<T: DeserializeOwned>(archive: &Path, name: &str, member: &mut impl Read, limit: u64) -> Result<T, ReadError> {
    let mut text = Vec::new();
    member.take(limit + 1).read_to_end(&mut text).map_err(|error| read_error(archive, error))?;
    if text.len() as u64 > limit {
        return Err(malformed(archive, format!("{name} has more than {limit} bytes")));
    }
    serde_json::from_slice(&text).map_err(|error| malformed(archive, format!("{name}: {error}")))
}

fn malformed(path: &Path, reason: String) -> ReadError {
    ReadError::Malformed { path: path.to_owned(), reason }
}

fn read_error(path: &Path, error: io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::InvalidData => malformed(path, error.to_string()),
        _ => ReadError::File { doing: "reading", path: path.to_owned(), source: error },
    }
}

/// A link in place of the archive is not followed, and a pipe is not waited for.
fn open_file(path: &Path) -> Result<File, ReadError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {
            return Err(ReadError::Absent { path: path.to_owned() });
        }
        Err(errno) => {
            return Err(ReadError::File { doing: "opening", path: path.to_owned(), source: errno.into() });
        }
    };
    let stat = rustix::fs::fstat(&file).map_err(|errno| ReadError::File {
        doing: "examining",
        path: path.to_owned(),
        source: errno.into(),
    })?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(malformed(path, "it is no regular file".to_owned()));
    }
    Ok(File::from(file))
}

/// A reader that computes the digest of what is read.
struct Hashing<R> {
    reader: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.hash.update(&buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
