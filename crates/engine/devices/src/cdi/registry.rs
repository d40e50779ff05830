//! The directories with specifications, and the search for a device in them.
//!
//! A later directory wins over an earlier one, so that what was generated in this boot covers what an administrator once
//! wrote. Two specifications of one directory must not have the same device.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crio_types::chain;

use super::document::{DeviceEntry, Document};
use super::edits::{Edits, Owner};
use super::{CdiError, DocumentError, QualifiedName};

/// The largest specification that is read; that of a node with hundreds of devices has a few hundred KiB.
pub const MAX_SPECIFICATION_BYTES: u64 = 8 << 20;
/// The most specifications that are read from one directory.
const MAX_SPECIFICATIONS: usize = 1024;
/// The most devices one container may name.
const MAX_DEVICES: usize = 1024;

/// A specification that was passed over.
#[derive(Debug)]
pub struct Skipped {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

struct Specification {
    path: PathBuf,
    document: Document,
}

/// What the devices of these names bring, and the specifications that could not be read and were not needed. Nothing is
/// read when no device is named.
///
/// # Errors
/// A name is malformed; a device is in no specification or in two; it wants what cannot be given.
pub fn resolve(directories: &[PathBuf], names: &[String], owner: Owner) -> Result<(Edits, Vec<Skipped>), CdiError> {
    let mut edits = Edits::default();
    let mut skipped = Vec::new();
    if names.len() > MAX_DEVICES {
        return Err(CdiError::TooMany { limit: MAX_DEVICES });
    }
    let names = distinct(names)?;
    if names.is_empty() {
        return Ok((edits, skipped));
    }
    let read: Vec<Vec<Specification>> = directories.iter().map(|path| read_directory(path, &mut skipped)).collect();
    let mut applied = BTreeSet::new();
    for name in names {
        let Some((specification, device)) = find(&read, &name)? else {
            return Err(CdiError::Unresolved { name, directories: directories.to_vec(), unread: unread(&skipped) });
        };
        if applied.insert(specification.path.clone()) {
            edits.add(&name, &specification.document.container_edits, owner)?;
        }
        edits.add(&name, &device.container_edits, owner)?;
    }
    Ok((edits, skipped))
}

/// The names in their order, each once.
fn distinct(names: &[String]) -> Result<Vec<QualifiedName>, CdiError> {
    let mut distinct = Vec::new();
    for name in names {
        let parsed = QualifiedName::parse(name).map_err(|source| CdiError::Name { name: name.clone(), source })?;
        if !distinct.contains(&parsed) {
            distinct.push(parsed);
        }
    }
    Ok(distinct)
}

fn find<'a>(
    read: &'a [Vec<Specification>],
    name: &QualifiedName,
) -> Result<Option<(&'a Specification, &'a DeviceEntry)>, CdiError> {
    for directory in read.iter().rev() {
        let of_kind = directory.iter().filter(|specification| specification.document.kind == name.kind());
        let mut found = of_kind.filter_map(|specification| {
            let mut devices = specification.document.devices.iter();
            Some((specification, devices.find(|device| device.name == name.device())?))
        });
        let Some(first) = found.next() else { continue };
        if let Some((second, _)) = found.next() {
            let (first, second) = (first.0.path.clone(), second.path.clone());
            return Err(CdiError::Conflict { name: name.clone(), first, second });
        }
        return Ok(Some(first));
    }
    Ok(None)
}

/// The specifications of a directory, by file name. A directory that is not there has none.
fn read_directory(directory: &Path, skipped: &mut Vec<Skipped>) -> Vec<Specification> {
    let mut skip = |path: &Path, reason: String| skipped.push(Skipped { path: path.to_owned(), reason });
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            skip(directory, error.to_string());
            return Vec::new();
        }
    };
    let is_specification = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "json" || kind == "yaml");
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_specification).collect();
    paths.sort();
    if paths.len() > MAX_SPECIFICATIONS {
        skip(directory, format!("it holds more than {MAX_SPECIFICATIONS} specifications, the rest is not read"));
        paths.truncate(MAX_SPECIFICATIONS);
    }
    let mut specifications = Vec::new();
    for path in paths {
        match read_file(&path) {
            Ok(Ok(document)) => specifications.push(Specification { path, document }),
            Ok(Err(error)) => skip(&path, chain(&error)),
            Err(error) => skip(&path, error.to_string()),
        }
    }
    specifications
}

fn read_file(path: &Path) -> io::Result<Result<Document, DocumentError>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut text = String::new();
    file.take(MAX_SPECIFICATION_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SPECIFICATION_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than any specification"));
    }
    let is_json = path.extension().is_some_and(|kind| kind == "json");
    Ok(if is_json { Document::from_json(&text) } else { Document::from_yaml(&text) })
}

/// What could not be read, as the end of a sentence: it may be where the device is.
fn unread(skipped: &[Skipped]) -> String {
    let mut text = String::new();
    for Skipped { path, reason } in skipped {
        text.push_str(&format!("; {} was not read: {reason}", path.display()));
    }
    text
}
