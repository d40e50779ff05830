//! A container's log file: appended to in batches of whole records, rotated from outside or by size, and never in the
//! way of the container.
//!
//! The file is opened without following a symbolic link in its last component, and only regular files are written to.
//! When a write fails the batch is given up, up to the last whole record that reached the file, and counted; once writing
//! works again a record of our own says how much is missing. The container never waits for a disk.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::record::{Header, RECORD_MAX_BYTES, Stream, Tag, measure};

/// The most bytes written at once.
const BATCH_MAX_BYTES: usize = 128 * 1024;
const LOG_MODE: Mode = Mode::from_raw_mode(0o640);

/// An open log.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    size_bytes: u64,
    size_max_bytes: Option<u64>,
    lost: Option<Lost>,
}

/// Output that did not reach the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lost {
    bytes: u64,
    lines: u64,
    reason: String,
}

impl Log {
    /// Opens the log, made when absent, at its end.
    pub(crate) fn open(path: &Path, size_max_bytes: Option<u64>) -> std::io::Result<Self> {
        let (file, size_bytes) = open_file(path)?;
        Ok(Self { path: path.to_owned(), file, size_bytes, size_max_bytes, lost: None })
    }

    /// Opens whatever is under the path now, made when absent, and lets the old file go. When it fails the old file stays.
    pub(crate) fn reopen(&mut self) -> std::io::Result<()> {
        (self.file, self.size_bytes) = open_file(&self.path)?;
        Ok(())
    }

    /// How many bytes to collect before writing: what one write should hold, and no more than a file may.
    pub(crate) fn batch_bytes(&self) -> usize {
        let limit = self.size_max_bytes.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        limit.clamp(RECORD_MAX_BYTES, BATCH_MAX_BYTES)
    }

    /// Writes whole records.
    pub(crate) fn write(&mut self, records: &[u8]) {
        if records.is_empty() {
            return;
        }
        if self
            .size_max_bytes
            .is_some_and(|limit| self.size_bytes > 0 && self.size_bytes + records.len() as u64 > limit)
            && let Err(error) = self.start_over()
        {
            self.lose(records, &error);
            return;
        }
        match self.lost.take() {
            None => {
                if let Err((written, error)) = self.append(records) {
                    self.lose(&records[written..], &error);
                }
            }
            Some(lost) => self.write_after_loss(lost, records),
        }
    }

    /// Tries to write again: our own record of what is missing, together with some of what follows it. Alone it
    /// would use up the little room that a torn record leaves, once for every batch.
    fn write_after_loss(&mut self, mut lost: Lost, records: &[u8]) {
        let note = lost.record();
        match self.append(&[&note, records].concat()) {
            Ok(()) => {}
            Err((written, error)) if written > note.len() => self.lose(&records[written - note.len()..], &error),
            Err((written, _)) => {
                self.size_bytes -= written as u64;
                let _uncut = rustix::fs::ftruncate(&self.file, self.size_bytes);
                lost.add(records);
                self.lost = Some(lost);
            }
        }
    }

    /// Appends all records, or some whole ones: then how many bytes those are, and what failed.
    fn append(&mut self, records: &[u8]) -> Result<(), (usize, std::io::Error)> {
        let mut written = 0;
        while written < records.len() {
            match self.file.write(&records[written..]) {
                Ok(length) if length > 0 => written += length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => {
                    let error = other.err().unwrap_or_else(|| std::io::ErrorKind::WriteZero.into());
                    let whole = records[..written].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
                    self.size_bytes += whole as u64;
                    if whole < written {
                        // A torn record would swallow the next one. Cutting a file needs no space.
                        let _uncut = rustix::fs::ftruncate(&self.file, self.size_bytes);
                    }
                    return Err((whole, error));
                }
            }
        }
        self.size_bytes += written as u64;
        Ok(())
    }

    fn lose(&mut self, records: &[u8], error: &std::io::Error) {
        let lost = self.lost.get_or_insert_with(|| Lost { bytes: 0, lines: 0, reason: error.to_string() });
        lost.add(records);
    }

    /// Replaces the file by an empty one, at once for whoever reads by path.
    fn start_over(&mut self) -> std::io::Result<()> {
        let place = Place::open(&self.path)?;
        let mut temporary = place.name.clone();
        temporary.push(".tmp");
        match rustix::fs::unlinkat(&place.directory, &temporary, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::APPEND | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&place.directory, &temporary, flags, LOG_MODE)?;
        rustix::fs::renameat(&place.directory, &temporary, &place.directory, &place.name)?;
        self.file = file.into();
        self.size_bytes = 0;
        Ok(())
    }
}

impl Lost {
    fn add(&mut self, records: &[u8]) {
        let (bytes, lines) = measure(records);
        self.bytes += bytes;
        self.lines += lines;
    }

    fn record(&self) -> Vec<u8> {
        let mut header = Header::default();
        header.set_time(now());
        header.set_stream(Stream::Stderr);
        let text = format!(
            "crio-conmon: {} bytes, {} lines of output are missing here: {}",
            self.bytes, self.lines, self.reason
        );
        let mut record = Vec::new();
        header.append(&mut record, Tag::Full, text.as_bytes());
        record
    }
}

/// The wall clock.
pub(crate) fn now() -> Timespec {
    clock_gettime(ClockId::Realtime)
}

/// Opens the file to append to, and gives its size.
fn open_file(path: &Path) -> std::io::Result<(File, u64)> {
    let place = Place::open(path)?;
    // Without O_NONBLOCK a FIFO in the log's place would hold the whole monitor.
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::APPEND
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let descriptor = match place.open_file(flags) {
        Err(Errno::LOOP) if place.is_dangling() => {
            rustix::fs::unlinkat(&place.directory, &place.name, AtFlags::empty())?;
            place.open_file(flags)?
        }
        other => other?,
    };
    let file = File::from(descriptor);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "the log is not a regular file"));
    }
    Ok((file, metadata.len()))
}

/// Where a log is: its directory, reached without a symbolic link, and its name there. A pod that can write among its
/// own logs could otherwise lead us, who are root, anywhere with a link in a directory's place.
struct Place {
    directory: OwnedFd,
    name: OsString,
}

impl Place {
    fn open(path: &Path) -> std::io::Result<Self> {
        let no_name = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "the log path names no file");
        let (parent, name) = path.parent().zip(path.file_name()).ok_or_else(no_name)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let directory = rustix::fs::openat2(CWD, parent, flags, Mode::empty(), resolve)?;
        Ok(Self { directory, name: name.to_owned() })
    }

    fn open_file(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.directory, &self.name, flags, LOG_MODE)
    }

    /// Whether the name is a symbolic link that leads nowhere.
    fn is_dangling(&self) -> bool {
        rustix::fs::statat(&self.directory, &self.name, AtFlags::empty()).is_err_and(|errno| errno == Errno::NOENT)
    }
}

#[cfg(test)]
mod tests;
