//! What a container changed in its root: an archive of what it made, and a list of what it took away.
//!
//! The walk follows the container's own layer, where overlay keeps exactly that: files, a character device 0:0 for a name
//! that is gone, and attributes for a directory that hides the one below it or was moved. Contents come from the mounted
//! root, since overlay may keep a file's attributes in one layer and its contents in another. A directory that was moved
//! is written whole, as if it were new.
//!
//! Nothing in the layer is trusted: names are opened with the root as the root of the world, and no link is followed.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{CStr, OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crio_sys::confined::Root;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use tar::{Builder, EntryType, Header};

/// Attributes kept with a file: of a file's security none but its capabilities, as in image layers.
const KEPT_XATTRS: &str = "user.";
const FILE_CAPABILITIES: &str = "security.capability";
/// The longest extended attribute the kernel allows.
const XATTR_MAX_BYTES: usize = 64 * 1024;

/// What became of a container's root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Files, directories and the rest in the archive.
    pub entries: u64,
    /// What is gone, as absolute paths in the root.
    pub deleted: Vec<PathBuf>,
}

/// A container's own layer, the layers below it, and the whole as it is mounted.
pub(crate) struct Layers {
    pub(crate) own: PathBuf,
    pub(crate) below: Vec<PathBuf>,
    pub(crate) merged: PathBuf,
}

/// Writes the archive.
pub(crate) fn export(layers: &Layers, sink: impl Write) -> io::Result<Changes> {
    let mut walk = Walk {
        own: Root::open(&layers.own)?,
        merged: Root::open(&layers.merged)?,
        below: layers.below.iter().filter_map(|layer| Root::open(layer).ok()).collect(),
        archive: Builder::new(sink),
        linked: HashMap::new(),
        changes: Changes::default(),
        pending: vec![Place { path: PathBuf::new(), is_whole: false, hides: false }],
    };
    while let Some(place) = walk.pending.pop() {
        walk.directory(&place).map_err(|error| at(&place.path, &error))?;
    }
    walk.archive.into_inner()?;
    Ok(walk.changes)
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("/{}: {error}", path.display()))
}

/// A directory to be visited.
struct Place {
    path: PathBuf,
    /// It is read as mounted, since its contents are not in the container's own layer.
    is_whole: bool,
    /// Nothing of the layers below shows through.
    hides: bool,
}

struct Walk<W: Write> {
    own: Root,
    merged: Root,
    below: Vec<Root>,
    archive: Builder<W>,
    /// Names of files that have more than one.
    linked: HashMap<(u64, u64), PathBuf>,
    changes: Changes,
    pending: Vec<Place>,
}

impl<W: Write> Walk<W> {
    fn directory(&mut self, place: &Place) -> io::Result<()> {
        let root = if place.is_whole { &self.merged } else { &self.own };
        let directory = open_directory(root, &place.path)?;
        let names = names(&directory)?;
        if place.hides {
            for name in self.names_below(&place.path).difference(&names) {
                self.changes.deleted.push(Path::new("/").join(&place.path).join(name));
            }
        }
        for name in &names {
            self.entry(place, &directory, name)?;
        }
        Ok(())
    }

    fn entry(&mut self, place: &Place, directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let path = place.path.join(name);
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
            self.changes.deleted.push(Path::new("/").join(path));
            return Ok(());
        }
        match kind {
            FileType::Directory => self.subdirectory(place, &path, &stat)?,
            FileType::RegularFile => self.file(&path, &stat).map_err(|error| at(&path, &error))?,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
                let mut header = header(EntryType::Symlink, &stat);
                self.archive.append_link(&mut header, &path, OsStr::from_bytes(target.to_bytes()))?;
            }
            FileType::CharacterDevice => self.special(EntryType::Char, &path, &stat)?,
            FileType::BlockDevice => self.special(EntryType::Block, &path, &stat)?,
            FileType::Fifo => self.special(EntryType::Fifo, &path, &stat)?,
            // A socket means nothing without the process that listens.
            FileType::Socket | FileType::Unknown => return Ok(()),
        }
        self.changes.entries += 1;
        Ok(())
    }

    fn subdirectory(&mut self, place: &Place, path: &Path, stat: &Stat) -> io::Result<()> {
        let root = if place.is_whole { &self.merged } else { &self.own };
        let directory = open_directory(root, path)?;
        let is_moved = !place.is_whole && xattr(&directory, c"trusted.overlay.redirect")?.is_some();
        let is_opaque = !place.is_whole && xattr(&directory, c"trusted.overlay.opaque")?.is_some_and(|v| v == b"y");
        self.keep_xattrs(&directory)?;
        self.special(EntryType::Directory, path, stat)?;
        self.pending.push(Place {
            path: path.to_owned(),
            is_whole: place.is_whole || is_moved,
            hides: place.hides || is_moved || is_opaque,
        });
        Ok(())
    }

    fn file(&mut self, path: &Path, stat: &Stat) -> io::Result<()> {
        if stat.st_nlink > 1 {
            let identity = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.linked.get(&identity) {
                let mut header = header(EntryType::Link, stat);
                return self.archive.append_link(&mut header, path, first);
            }
            self.linked.insert(identity, path.to_owned());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.merged.open_at(path, flags, Mode::empty())?;
        let now = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(now.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("the file was replaced while it was read"));
        }
        self.keep_xattrs(&file)?;
        let mut header = header(EntryType::Regular, stat);
        let size = now.st_size.unsigned_abs();
        header.set_size(size);
        // A file that shrinks meanwhile is filled up, one that grows is cut: the archive stays whole.
        let contents = std::fs::File::from(file).take(size).chain(io::repeat(0)).take(size);
        self.archive.append_data(&mut header, path, contents)
    }

    fn special(&mut self, kind: EntryType, path: &Path, stat: &Stat) -> io::Result<()> {
        let mut header = header(kind, stat);
        if matches!(kind, EntryType::Char | EntryType::Block) {
            header.set_device_major(rustix::fs::major(stat.st_rdev))?;
            header.set_device_minor(rustix::fs::minor(stat.st_rdev))?;
        }
        self.archive.append_data(&mut header, path, io::empty())
    }

    /// Writes the extended attributes of the file whose header comes next.
    fn keep_xattrs(&mut self, file: &OwnedFd) -> io::Result<()> {
        let mut kept = Vec::new();
        for name in xattr_names(file)? {
            let text = name.to_string_lossy();
            if text.starts_with(KEPT_XATTRS) || text == FILE_CAPABILITIES {
                kept.extend(xattr(file, &name)?.map(|value| (format!("SCHILY.xattr.{text}"), value)));
            }
        }
        if kept.is_empty() {
            return Ok(());
        }
        self.archive.append_pax_extensions(kept.iter().map(|(name, value)| (name.as_str(), value.as_slice())))
    }

    /// What the layers below have in a directory. Some of it they may hide from one another, which does no harm: what is
    /// not there need not be taken away.
    fn names_below(&self, path: &Path) -> BTreeSet<OsString> {
        let directories = self.below.iter().filter_map(|layer| open_directory(layer, path).ok());
        directories.filter_map(|directory| names(&directory).ok()).flatten().collect()
    }
}

fn header(kind: EntryType, stat: &Stat) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header.set_size(0);
    header
}

fn open_directory(root: &Root, path: &Path) -> io::Result<OwnedFd> {
    root.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

fn names(directory: &OwnedFd) -> io::Result<BTreeSet<OsString>> {
    let mut names = BTreeSet::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.insert(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

fn xattr_names(file: &OwnedFd) -> io::Result<Vec<std::ffi::CString>> {
    let mut buffer = vec![0; XATTR_MAX_BYTES];
    match rustix::fs::flistxattr(file, buffer.as_mut_slice()) {
        Ok(length) => {
            let names = buffer[..length].split_inclusive(|byte| *byte == 0);
            Ok(names.filter_map(|name| CStr::from_bytes_with_nul(name).ok()).map(CStr::to_owned).collect())
        }
        Err(rustix::io::Errno::NOTSUP) => Ok(Vec::new()),
        Err(errno) => Err(errno.into()),
    }
}

/// An attribute's value. The file may be open for its path only, so it is read through that.
fn xattr(file: &OwnedFd, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()));
    let mut buffer = vec![0; XATTR_MAX_BYTES];
    match rustix::fs::getxattr(&path, name, buffer.as_mut_slice()) {
        Ok(length) => {
            buffer.truncate(length);
            Ok(Some(buffer))
        }
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::NOTSUP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}
