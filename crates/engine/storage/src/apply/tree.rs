//! The directory a layer is unpacked into: finding parents, making files, replacing what is in the way.
//!
//! Only this process knows the directory, so nothing moves underneath; links, however, come from the archive, and none
//! is followed except by the kernel with the directory as root.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use crio_sys::confined::{Root, remove_entry};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::attributes::{self, OnChownError};
use super::path::CleanPath;
use super::whiteout::Whiteout;
use crate::error::ApplyError;
use crate::tar::{Entry, Kind, Time};

/// Mode of a directory that the archive uses but does not bring.
const IMPLICIT_MODE: Mode = Mode::from_raw_mode(0o755);

/// Whether a path existed before its entry came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Novelty {
    /// It did not, and it is reached without links.
    New,
    /// Something had it, or a link leads there.
    Known,
}

/// The tree being made.
pub(crate) struct Tree {
    root: Root,
    root_directory: Rc<OwnedFd>,
    /// The directories on the way to the last parent, below the root.
    way: Vec<(Vec<u8>, Rc<OwnedFd>)>,
    directory_times: Vec<(Vec<u8>, Time, Time)>,
    lost_contents: bool,
    on_chown_error: OnChownError,
}

/// A directory found, and whether without links.
struct Parent {
    directory: Rc<OwnedFd>,
    is_direct: bool,
}

/// What to do about a word of a path that is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Create,
    Refuse,
}

impl Tree {
    /// The tree below a directory.
    ///
    /// # Errors
    /// The descriptor cannot be duplicated.
    pub(crate) fn new(root: OwnedFd, on_chown_error: OnChownError) -> io::Result<Self> {
        Ok(Self {
            root: Root::from_fd(root.try_clone()?),
            root_directory: Rc::new(root),
            way: Vec::new(),
            directory_times: Vec::new(),
            lost_contents: false,
            on_chown_error,
        })
    }

    /// Whether contents of the archive are no longer in the tree, so that it cannot be written again.
    pub(crate) fn has_lost_contents(&self) -> bool {
        self.lost_contents
    }

    /// Makes a regular file, empty and writable.
    pub(crate) fn file(&mut self, path: &CleanPath<'_>) -> Result<(File, Novelty), ApplyError> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (file, novelty) = self.create(path, "creating", |parent, name| {
            Ok(rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?)
        })?;
        Ok((File::from(file), novelty))
    }

    /// Sets the attributes of a file whose contents are complete.
    pub(crate) fn finish_file(&self, file: &File, entry: &Entry, path: &CleanPath<'_>) -> Result<(), ApplyError> {
        attributes::set(file.as_fd(), entry, self.on_chown_error)
            .and_then(|()| attributes::set_times(file.as_fd(), entry))
            .map_err(|(action, source)| path.error(action, source))
    }

    /// Makes a directory, or gives an existing one the entry's attributes.
    pub(crate) fn directory(&mut self, entry: &Entry, path: &CleanPath<'_>) -> Result<Novelty, ApplyError> {
        let fail = |source| path.error("creating", source);
        let parent = self.parent(path, Missing::Create)?;
        let name = OsStr::from_bytes(path.name().expect("the caller checked for the root"));
        let mut novelty = if parent.is_direct { Novelty::New } else { Novelty::Known };
        let mut replaced_whiteout = false;
        if let Err(errno) = rustix::fs::mkdirat(&*parent.directory, name, IMPLICIT_MODE) {
            if errno != Errno::EXIST {
                return Err(fail(errno.into()));
            }
            novelty = Novelty::Known;
            if kind_at(&parent.directory, name).map_err(fail)? != Some(FileType::Directory) {
                replaced_whiteout = is_whiteout(&parent.directory, name).map_err(fail)?;
                self.clear(&parent.directory, name).map_err(fail)?;
                rustix::fs::mkdirat(&*parent.directory, name, IMPLICIT_MODE).map_err(|errno| fail(errno.into()))?;
            }
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(&*parent.directory, name, flags, Mode::empty())
            .map_err(|errno| path.error("opening", errno.into()))?;
        attributes::set(directory.as_fd(), entry, self.on_chown_error)
            .map_err(|(action, source)| path.error(action, source))?;
        if replaced_whiteout {
            attributes::set_opaque(directory.as_fd()).map_err(|source| path.error("hiding lower layers'", source))?;
        }
        self.directory_times.push((path.joined(), entry.atime, entry.mtime));
        Ok(novelty)
    }

    /// Makes a symbolic link, a device or a pipe.
    pub(crate) fn special(&mut self, entry: &Entry, path: &CleanPath<'_>) -> Result<Novelty, ApplyError> {
        let on_chown_error = self.on_chown_error;
        let device = rustix::fs::makedev(entry.device.0, entry.device.1);
        let (outcome, novelty) = self.create(path, "creating", |parent, name| {
            let node = match entry.kind {
                Kind::Symlink => None,
                Kind::Character => Some((FileType::CharacterDevice, device)),
                Kind::Block => Some((FileType::BlockDevice, device)),
                _ => Some((FileType::Fifo, 0)),
            };
            match node {
                None => rustix::fs::symlinkat(OsStr::from_bytes(&entry.link), parent, name)?,
                Some((kind, device)) => rustix::fs::mknodat(parent, name, kind, Mode::RUSR | Mode::WUSR, device)?,
            }
            Ok(attributes::set_at(parent, name, entry, on_chown_error))
        })?;
        outcome.map_err(|(action, source)| path.error(action, source))?;
        Ok(novelty)
    }

    /// Gives a file of the tree another name. The link has no attributes of its own.
    pub(crate) fn hard_link(&mut self, entry: &Entry, path: &CleanPath<'_>) -> Result<Novelty, ApplyError> {
        let target = CleanPath::new(&entry.link);
        let fail = |source| path.error("linking", source);
        let Some(target_name) = target.name().map(OsStr::from_bytes) else {
            return Err(fail(Errno::PERM.into()));
        };
        let from = self.parent(&target, Missing::Refuse)?.directory;
        let existing = self.parent(path, Missing::Create)?;
        let name = OsStr::from_bytes(path.name().expect("the caller checked for the root"));
        if is_same_file((&from, target_name), (&existing.directory, name)) {
            return Ok(Novelty::Known);
        }
        let (_, novelty) = self.create(path, "linking", |parent, name| {
            Ok(rustix::fs::linkat(&*from, target_name, parent, name, AtFlags::empty())?)
        })?;
        Ok(novelty)
    }

    /// Hides something of the lower layers. What this layer brought stays.
    pub(crate) fn whiteout(
        &mut self,
        whiteout: Whiteout<'_>,
        path: &CleanPath<'_>,
        entry: &Entry,
    ) -> Result<(), ApplyError> {
        let fail = |source| path.error("hiding lower layers'", source);
        let hidden = match whiteout {
            Whiteout::Invalid => return Err(fail(Errno::INVAL.into())),
            Whiteout::Bookkeeping => return Ok(()),
            Whiteout::Opaque => None,
            Whiteout::Name(name) => Some(OsStr::from_bytes(name)),
        };
        if self.is_below_whiteout(path).map_err(fail)? {
            return Ok(());
        }
        let parent = self.parent(path, Missing::Create)?.directory;
        let Some(name) = hidden else {
            return attributes::set_opaque(parent.as_fd()).map_err(fail);
        };
        let owner = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        match rustix::fs::mknodat(&*parent, name, FileType::CharacterDevice, Mode::empty(), 0) {
            Ok(()) => {
                let outcome =
                    rustix::fs::chownat(&*parent, name, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW);
                if self.on_chown_error == OnChownError::Ignore {
                    Ok(())
                } else {
                    outcome.map_err(|errno| fail(errno.into()))
                }
            }
            Err(Errno::EXIST) => self.hide_below_own(&parent, name).map_err(fail),
            Err(errno) => Err(fail(errno.into())),
        }
    }

    /// Sets the times of all directories, now that nothing is made in them any more.
    pub(crate) fn set_directory_times(&mut self) -> Result<(), ApplyError> {
        for (path, access, modification) in std::mem::take(&mut self.directory_times) {
            let path = CleanPath::new(&path);
            let Some(name) = path.name().map(OsStr::from_bytes) else {
                continue;
            };
            let Ok(parent) = self.parent(&path, Missing::Refuse) else {
                continue;
            };
            if kind_at(&parent.directory, name).ok().flatten() != Some(FileType::Directory) {
                continue;
            }
            let times = attributes::times(access, modification);
            rustix::fs::utimensat(&*parent.directory, name, &times, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| path.error("setting the times of", errno.into()))?;
        }
        Ok(())
    }

    /// Makes something at a path, after removing what is there.
    fn create<T>(
        &mut self,
        path: &CleanPath<'_>,
        action: &'static str,
        make: impl Fn(BorrowedFd<'_>, &OsStr) -> io::Result<T>,
    ) -> Result<(T, Novelty), ApplyError> {
        let fail = |source| path.error(action, source);
        let parent = self.parent(path, Missing::Create)?;
        let name = OsStr::from_bytes(path.name().expect("the caller checked for the root"));
        match make(parent.directory.as_fd(), name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.clear(&parent.directory, name).map_err(fail)?;
                Ok((make(parent.directory.as_fd(), name).map_err(fail)?, Novelty::Known))
            }
            outcome => {
                let novelty = if parent.is_direct { Novelty::New } else { Novelty::Known };
                Ok((outcome.map_err(fail)?, novelty))
            }
        }
    }

    /// Removes what is at a name, noting whether contents go with it.
    fn clear(&mut self, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.lost_contents = true;
                self.way.clear();
            }
            FileType::RegularFile if stat.st_size > 0 => self.lost_contents = true,
            _ => {}
        }
        remove_entry(parent, name)
    }

    /// The directory that holds a path.
    fn parent(&mut self, path: &CleanPath<'_>, missing: Missing) -> Result<Parent, ApplyError> {
        let words = path.parents();
        let common = self.way.iter().zip(words).take_while(|((name, _), word)| name == *word).count();
        self.way.truncate(common);
        for word in &words[common..] {
            let name = OsStr::from_bytes(word);
            match self.step(name, missing) {
                Ok(directory) => self.way.push((word.to_vec(), Rc::new(directory))),
                Err(Errno::NOTDIR | Errno::LOOP) => return self.parent_through_links(path, missing),
                Err(errno) => return Err(path.error("opening the directory of", errno.into())),
            }
        }
        Ok(Parent { directory: self.current(), is_direct: true })
    }

    /// Opens the directory `name` in the one the way has reached.
    fn step(&self, name: &OsStr, missing: Missing) -> Result<OwnedFd, Errno> {
        let here = self.way.last().map_or(self.root.as_fd(), |(_, directory)| directory.as_fd());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(here, name, flags, Mode::empty());
        let replaced_whiteout = match open() {
            Err(Errno::NOENT) if missing == Missing::Create => false,
            Err(Errno::NOTDIR) if missing == Missing::Create && is_whiteout(here, name).unwrap_or(false) => {
                rustix::fs::unlinkat(here, name, AtFlags::empty())?;
                true
            }
            outcome => return outcome,
        };
        rustix::fs::mkdirat(here, name, IMPLICIT_MODE)?;
        rustix::fs::chmodat(here, name, IMPLICIT_MODE, AtFlags::empty())?;
        let directory = open()?;
        if replaced_whiteout {
            attributes::set_opaque(directory.as_fd())
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        }
        Ok(directory)
    }

    fn parent_through_links(&self, path: &CleanPath<'_>, missing: Missing) -> Result<Parent, ApplyError> {
        let joined = path.parents().join(&b'/');
        let joined = Path::new(OsStr::from_bytes(&joined));
        let directory = match missing {
            Missing::Create => self.root.create_directories(joined, IMPLICIT_MODE),
            Missing::Refuse => self.root.open_directory(joined),
        };
        let directory = directory.map_err(|source| path.error("opening the directory of", source))?;
        Ok(Parent { directory: Rc::new(directory), is_direct: false })
    }

    fn current(&self) -> Rc<OwnedFd> {
        match self.way.last() {
            Some((_, directory)) => Rc::clone(directory),
            None => Rc::clone(&self.root_directory),
        }
    }

    /// Whether a whiteout of this layer stands where a parent of the path would be: all below is hidden already.
    fn is_below_whiteout(&self, path: &CleanPath<'_>) -> io::Result<bool> {
        let mut directory = Rc::clone(&self.root_directory);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let known = self.way.iter().zip(path.parents()).take_while(|((name, _), word)| name == *word).count();
        if known > 0 {
            directory = Rc::clone(&self.way[known - 1].1);
        }
        for word in &path.parents()[known..] {
            let name = OsStr::from_bytes(word);
            match rustix::fs::openat(&*directory, name, flags, Mode::empty()) {
                Ok(below) => directory = Rc::new(below),
                Err(Errno::NOTDIR) => return is_whiteout(&*directory, name),
                Err(_) => return Ok(false),
            }
        }
        Ok(false)
    }

    /// A whiteout of something this layer brought itself: a directory then hides what lies below it in lower layers.
    fn hide_below_own(&self, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(parent, name, flags, Mode::empty()) {
            Ok(directory) => attributes::set_opaque(directory.as_fd()),
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn kind_at(parent: &OwnedFd, name: &OsStr) -> io::Result<Option<FileType>> {
    crio_sys::confined::file_type(parent, name)
}

/// Whether a name is overlay's whiteout: a character device 0:0.
fn is_whiteout(parent: impl AsFd, name: &OsStr) -> io::Result<bool> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0)
}

fn is_same_file(first: (&OwnedFd, &OsStr), second: (&OwnedFd, &OsStr)) -> bool {
    let stat = |(parent, name): (&OwnedFd, &OsStr)| rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
    matches!((stat(first), stat(second)), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}
