//! Reading and replacing a JSON array on disk.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use serde_json::value::RawValue;

use super::TableFile;
use crate::error::TableError;

/// Bytes of one table at most. A thousand images of fifty layers take less than a hundredth.
const TABLE_LIMIT: u64 = 1 << 30;

/// Whether a file must survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Synced before it becomes visible.
    Durable,
    /// Left to the kernel.
    Volatile,
}

/// The rows of a table file, as text. A missing or empty file has none, and neither has a volatile file that a power
/// cut left in pieces.
pub(crate) fn read_rows(file: &TableFile) -> Result<Vec<Box<RawValue>>, TableError> {
    let path = &file.path;
    let fail = |source| TableError::Read { path: path.clone(), source };
    let text = match File::open(path) {
        Ok(file) => read_limited(file).map_err(fail)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    if text.is_empty() {
        return Ok(Vec::new());
    }
    match (serde_json::from_slice::<Option<Vec<Box<RawValue>>>>(&text), file.durability) {
        (Ok(rows), _) => Ok(rows.unwrap_or_default()),
        (Err(_), Durability::Volatile) => Ok(Vec::new()),
        (Err(source), Durability::Durable) => Err(TableError::Parse { path: path.clone(), source }),
    }
}

/// Replaces a table file.
///
/// The new contents are written into the file that held the contents before the last ones, and the two change places.
/// No file is made or deleted, which matters in two ways: some file systems are slow at it, and a full disk still
/// takes a table that did not grow.
pub(crate) fn write_rows<'a>(file: &TableFile, rows: impl Iterator<Item = &'a RawValue>) -> Result<(), TableError> {
    let mut text = vec![b'['];
    for (index, row) in rows.enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(row.get().as_bytes());
    }
    text.push(b']');
    exchange(&file.path, file.durability, &text).map_err(|source| TableError::Write { path: file.path.clone(), source })
}

fn exchange(path: &Path, durability: Durability, contents: &[u8]) -> io::Result<()> {
    let (directory, spare) = spare(path)?;
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&spare)?;
    file.write_all_at(contents, 0)?;
    file.set_len(contents.len() as u64)?;
    if durability == Durability::Durable {
        file.sync_data()?;
    }
    match rustix::fs::renameat_with(CWD, &spare, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        // The first write, or a file system that cannot do it.
        Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            fs::rename(&spare, path)?;
            // Room for the next contents, which may be needed when there is none left. Without it the next write makes
            // the file, as this one did.
            let room = File::options().write(true).create(true).truncate(false).mode(0o600).open(&spare);
            let _ = room.and_then(|mut room| room.write_all(b"[]"));
        }
        Err(errno) => return Err(errno.into()),
    }
    if durability == Durability::Durable {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// The directory of a file, and the file in it that takes new contents.
fn spare(path: &Path) -> io::Result<(&Path, PathBuf)> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut spare = std::ffi::OsString::from(".tmp-");
    spare.push(name);
    Ok((directory, directory.join(spare)))
}

/// Makes a durable file with these contents, mode 0600, in place of what is there: readers see the old or the new
/// one, never a part.
pub(crate) fn write_durably(path: &Path, contents: &[u8]) -> io::Result<()> {
    let (directory, temporary) = spare(path)?;
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(contents).and_then(|()| file.sync_data());
    let outcome = written.and_then(|()| fs::rename(&temporary, path));
    if outcome.is_err() {
        // The first failure is the one to report; what is left is overwritten by the next attempt.
        let _ = fs::remove_file(&temporary);
    }
    outcome?;
    File::open(directory)?.sync_all()
}

fn read_limited(mut file: File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    if length > TABLE_LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the table is larger than allowed"));
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}
