//! One layer: a list of files, packed as a tar archive with fixed times.
//!
//! Entries are written in the order they were added, with the directories above them where those are new to the layer.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

/// 2026-01-01T00:00:00Z.
const MODIFIED_SECONDS: u64 = 1_767_225_600;
const ZSTD_LEVEL: i32 = 3;

/// How a layer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Compression {
    pub(super) fn apply(self, tar: Vec<u8>) -> Result<Vec<u8>> {
        match self {
            Self::None => Ok(tar),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&tar).context("cannot compress a layer")?;
                encoder.finish().context("cannot compress a layer")
            }
            Self::Zstd => zstd::encode_all(tar.as_slice(), ZSTD_LEVEL).context("cannot compress a layer"),
        }
    }
}

#[derive(Debug, Clone)]
enum Kind {
    Directory,
    File(Vec<u8>),
    Symlink(String),
    HardLink(String),
    CharacterDevice(u32, u32),
}

#[derive(Debug, Clone)]
struct Entry {
    path: String,
    kind: Kind,
    mode: u32,
    owner: (u64, u64),
}

/// The files of one layer. Paths are absolute inside the image.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    entries: Vec<Entry>,
}

impl Layer {
    /// A layer without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a regular file.
    #[must_use]
    pub fn file(self, path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        self.add(path, mode, Kind::File(content.into()))
    }

    /// Adds a directory.
    #[must_use]
    pub fn directory(self, path: &str, mode: u32) -> Self {
        self.add(path, mode, Kind::Directory)
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.add(path, 0o777, Kind::Symlink(target.to_owned()))
    }

    /// Adds another name of a file of this layer.
    #[must_use]
    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.add(path, 0o755, Kind::HardLink(relative(target)))
    }

    /// Adds a character device.
    #[must_use]
    pub fn character_device(self, path: &str, major: u32, minor: u32) -> Self {
        self.add(path, 0o600, Kind::CharacterDevice(major, minor))
    }

    /// Removes a path that a lower layer has.
    #[must_use]
    pub fn whiteout(self, path: &str) -> Self {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.file(&format!("{parent}/.wh.{name}"), 0o644, "")
    }

    /// Hides everything that lower layers have in a directory.
    #[must_use]
    pub fn opaque(self, path: &str) -> Self {
        self.file(&format!("{path}/.wh..wh..opq"), 0o644, "")
    }

    /// Gives the last entry to another user and group.
    #[must_use]
    pub fn owned_by(mut self, uid: u64, gid: u64) -> Self {
        if let Some(entry) = self.entries.last_mut() {
            entry.owner = (uid, gid);
        }
        self
    }

    /// Copies a regular file of this machine, with its mode.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn host_file(self, from: impl AsRef<Path>, to: &str) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let from = from.as_ref();
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        let mode = fs::metadata(from)?.permissions().mode() & 0o7777;
        Ok(self.file(to, mode, content))
    }

    pub(super) fn has(&self, path: &str) -> bool {
        let path = relative(path);
        self.entries.iter().any(|entry| entry.path == path)
    }

    fn add(mut self, path: &str, mode: u32, kind: Kind) -> Self {
        self.entries.push(Entry { path: relative(path), kind, mode, owner: (0, 0) });
        self
    }

    pub(super) fn tar(&self) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut directories = BTreeSet::new();
        for entry in &self.entries {
            let above: Vec<&Path> = Path::new(&entry.path).ancestors().skip(1).collect();
            for directory in above.into_iter().rev().filter(|path| !path.as_os_str().is_empty()) {
                if directories.insert(directory.to_owned()) {
                    let mut header = header(EntryType::Directory, 0o755, (0, 0), 0);
                    archive.append_data(&mut header, directory.join(""), &[][..])?;
                }
            }
            if matches!(entry.kind, Kind::Directory) {
                directories.insert(Path::new(&entry.path).to_owned());
            }
            append(&mut archive, entry).with_context(|| format!("cannot pack {}", entry.path))?;
        }
        archive.into_inner().context("cannot finish a layer")
    }
}

fn append(archive: &mut tar::Builder<Vec<u8>>, entry: &Entry) -> Result<()> {
    let header = |kind, length| header(kind, entry.mode, entry.owner, length);
    match &entry.kind {
        Kind::Directory => {
            let path = format!("{}/", entry.path);
            archive.append_data(&mut header(EntryType::Directory, 0), path, &[][..])?;
        }
        Kind::File(content) => {
            let mut header = header(EntryType::Regular, content.len() as u64);
            archive.append_data(&mut header, &entry.path, content.as_slice())?;
        }
        Kind::Symlink(target) => archive.append_link(&mut header(EntryType::Symlink, 0), &entry.path, target)?,
        Kind::HardLink(target) => archive.append_link(&mut header(EntryType::Link, 0), &entry.path, target)?,
        Kind::CharacterDevice(major, minor) => {
            let mut header = header(EntryType::Char, 0);
            header.set_device_major(*major)?;
            header.set_device_minor(*minor)?;
            archive.append_data(&mut header, &entry.path, &[][..])?;
        }
    }
    Ok(())
}

fn header(kind: EntryType, mode: u32, (uid, gid): (u64, u64), length: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_size(length);
    header.set_mtime(MODIFIED_SECONDS);
    header
}

fn relative(path: &str) -> String {
    path.trim_matches('/').to_owned()
}
