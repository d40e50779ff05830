//! Reading what a group uses, again and again, at the price of one `pread` a file.
//!
//! A [`CounterReader`] keeps the few files open that the answers need, so a reading opens nothing, allocates nothing and copies
//! into a buffer on the stack. When the group is removed the kernel answers ENODEV on the open files: the reader then says *gone*
//! by `None`. What a host does not account is `None` in the result, never zero. What only metrics tell ([`Details`]) has files
//! of its own, which are opened when they are first asked for.
//!
//! Working set, resident size and what is available follow cAdvisor and CRI-O: usage less inactive file cache, anonymous memory,
//! and limit less working set.

mod details;
mod legacy;
pub(crate) mod parse;
mod unified;

use std::borrow::Cow;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crio_types::{Classified, CpuStats, ErrorKind, IoStats, MemoryStats, SwapStats, Timestamp};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::process::is_gone;
use crate::{CgroupPath, Cgroups};

pub use details::{CpuDetails, Details, DeviceIo, HugepageUse, MemoryDetails};

/// Longest file read; the longest of them, `memory.stat`, has about 3 KiB.
const BUFFER_LENGTH: usize = 16 * 1024;

/// A counter could not be opened or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the counter {file} of {}", directory.display())]
pub struct CounterError {
    /// The group's directory.
    pub directory: PathBuf,
    /// The file.
    pub file: Cow<'static, str>,
    /// What the kernel said.
    pub source: io::Error,
}

impl Classified for CounterError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

/// One reading of a group; `None` is not accounted here.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counters {
    /// Processor time; the rate is left `None`.
    pub cpu: Option<CpuStats>,
    /// Memory.
    pub memory: Option<MemoryStats>,
    /// Swap.
    pub swap: Option<SwapStats>,
    /// Block input and output.
    pub io: Option<IoStats>,
    /// Tasks, threads counted, in the group and the groups inside it.
    pub task_count: Option<u64>,
}

/// The open counter files of one group.
#[derive(Debug)]
pub struct CounterReader {
    files: Files,
    details: Option<details::Files>,
}

#[derive(Debug)]
enum Files {
    Legacy(legacy::Files),
    Unified(unified::Files),
}

impl CounterReader {
    /// Opens the counters of a group; `None` when the group does not exist.
    ///
    /// # Errors
    /// The kernel refuses a file that exists.
    pub fn open(cgroups: &Cgroups, path: &CgroupPath) -> Result<Option<Self>, CounterError> {
        let hierarchies = &cgroups.hierarchies;
        let files = match hierarchies.unified_only() {
            Some(mount) => unified::Files::open(&Arc::from(path.below(&mount.mount_point)))?.map(Files::Unified),
            None => legacy::Files::open(hierarchies, path)?.map(Files::Legacy),
        };
        Ok(files.map(|files| Self { files, details: None }))
    }

    /// Reads all counters; `None` when the group is gone.
    ///
    /// # Errors
    /// The kernel refuses to tell, for another reason than that.
    pub fn read(&self) -> Result<Option<Counters>, CounterError> {
        let timestamp = Timestamp::now();
        let mut buffer = Buffer([0; BUFFER_LENGTH]);
        let counters = match &self.files {
            Files::Legacy(files) => files.read(timestamp, &mut buffer),
            Files::Unified(files) => files.read(timestamp, &mut buffer),
        };
        unless_gone(counters)
    }

    /// Reads what only metrics tell; `None` when the group is gone. The path is that with which the reader was opened.
    ///
    /// # Errors
    /// As [`CounterReader::open`] and [`CounterReader::read`].
    pub fn read_details(&mut self, cgroups: &Cgroups, path: &CgroupPath) -> Result<Option<Details>, CounterError> {
        let files = match self.details.take() {
            Some(files) => files,
            None => details::Files::open(cgroups, path)?,
        };
        let mut buffer = Buffer([0; BUFFER_LENGTH]);
        unless_gone(self.details.insert(files).read(&mut buffer))
    }

    /// How many files are held open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        let files = match &self.files {
            Files::Legacy(files) => files.all().iter().filter(|counter| counter.is_open()).count(),
            Files::Unified(files) => files.all().iter().filter(|counter| counter.is_open()).count(),
        };
        files + self.details.as_ref().map_or(0, details::Files::open_files)
    }
}

/// `None` when the group was removed meanwhile.
fn unless_gone<T>(read: Result<T, CounterError>) -> Result<Option<T>, CounterError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if is_gone(&error.source) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Space for one file's text.
struct Buffer([u8; BUFFER_LENGTH]);

/// An open counter file, or the knowledge that the host has none.
#[derive(Debug)]
struct Counter {
    name: Cow<'static, str>,
    directory: Arc<Path>,
    file: Option<OwnedFd>,
}

impl Counter {
    /// A missing file is not accounted; a missing directory is for the caller to notice.
    fn open(directory: &Arc<Path>, name: impl Into<Cow<'static, str>>) -> Result<Self, CounterError> {
        let (directory, name) = (Arc::clone(directory), name.into());
        let path = directory.join(&*name);
        let file = match rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => Some(file),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::NODEV | Errno::OPNOTSUPP) => None,
            Err(source) => {
                return Err(CounterError { directory: directory.to_path_buf(), file: name, source: source.into() });
            }
        };
        Ok(Self { name, directory, file })
    }

    /// The file's text, and `None` when the host does not account this. Pressure files answer EOPNOTSUPP when pressure is off.
    /// The kernel fills what it is given, so a reading that leaves room was the last.
    fn read<'b>(&self, buffer: &'b mut Buffer) -> Result<Option<&'b [u8]>, CounterError> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        let mut length = 0;
        loop {
            match rustix::io::pread(file, &mut buffer.0[length..], length as u64) {
                Ok(0) => return Ok(Some(&buffer.0[..length])),
                Ok(more) if length + more < BUFFER_LENGTH => return Ok(Some(&buffer.0[..length + more])),
                Ok(more) => length += more,
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP) => return Ok(None),
                Err(source) => {
                    return Err(CounterError {
                        directory: self.directory.to_path_buf(),
                        file: self.name.clone(),
                        source: source.into(),
                    });
                }
            }
        }
    }

    /// The counter of a host that has no such hierarchy.
    fn absent(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), directory: Arc::from(Path::new("")), file: None }
    }

    fn is_open(&self) -> bool {
        self.file.is_some()
    }

    fn number(&self, buffer: &mut Buffer) -> Result<Option<u64>, CounterError> {
        Ok(self.read(buffer)?.and_then(parse::number))
    }

    /// A limit, where *none* is `None`.
    fn limit(&self, buffer: &mut Buffer) -> Result<Option<u64>, CounterError> {
        Ok(self.read(buffer)?.and_then(parse::limit))
    }
}

#[cfg(test)]
mod tests;
