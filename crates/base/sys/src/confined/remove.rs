//! Removing trees without following links, without leaving the mount, and without recursion on the stack.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Directories that the walk holds open at once. What lies deeper is first moved up to the top of the doomed tree.
const OPEN_DIRECTORIES: usize = 64;

/// Removes the tree at `path`, which the caller trusts up to its last component. A missing tree is fine.
///
/// # Errors
/// Something in the tree could not be removed; the rest of it stays.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL.into());
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, parent, flags, Mode::empty()) {
        Ok(parent) => remove_entry(&parent, name),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes `name` in `parent`, whatever it is, with everything below it. A missing entry is fine.
///
/// # Errors
/// Something could not be removed; the rest of the tree stays. [`io::ErrorKind::CrossesDevices`] when something is
/// mounted in the tree: nothing of that is touched.
pub fn remove_entry(parent: impl AsFd, name: &OsStr) -> io::Result<()> {
    let name = CString::new(name.as_bytes())?;
    if unlink(&parent, &name)? {
        return Ok(());
    }
    let mut walk = Walk { levels: vec![Level::open(&parent, name.clone())?], moved: 0 };
    loop {
        while walk.step()? {}
        match rustix::fs::unlinkat(&parent, name.as_c_str(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // Directories that were moved up after the top was read.
            Err(Errno::NOTEMPTY) if walk.moved > 0 => {
                walk = Walk { levels: vec![Level::open(&parent, name.clone())?], moved: 0 };
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The directories between the top of the doomed tree and where the walk is.
struct Walk {
    levels: Vec<Level>,
    moved: u64,
}

impl Walk {
    /// Removes or enters one entry. Returns false when the top directory has no more of them.
    fn step(&mut self) -> io::Result<bool> {
        let depth = self.levels.len();
        let Some(level) = self.levels.last_mut() else {
            return Ok(false);
        };
        let Some((entry, kind)) = level.next_entry()? else {
            return self.leave();
        };
        let may_be_directory = matches!(kind, FileType::Directory | FileType::Unknown);
        if !may_be_directory || (kind == FileType::Unknown && unlink(&level.directory, &entry)?) {
            unlink(&level.directory, &entry)?;
        } else if depth < OPEN_DIRECTORIES {
            let below = Level::open(&level.directory, entry)?;
            self.levels.push(below);
        } else {
            self.move_up(&entry)?;
        }
        Ok(true)
    }

    /// Removes the directory whose entries are gone. The top one is left to the caller.
    fn leave(&mut self) -> io::Result<bool> {
        let done = self.levels.pop().expect("the caller saw it");
        let Some(above) = self.levels.last() else {
            return Ok(false);
        };
        match rustix::fs::unlinkat(&above.directory, done.name.as_c_str(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn move_up(&mut self, entry: &CStr) -> io::Result<()> {
        let (top, deepest) = (&self.levels[0], &self.levels[self.levels.len() - 1]);
        let name = format!(".moved-up-{:x}-{}", std::process::id(), hex_random()?);
        rustix::fs::renameat(&deepest.directory, entry, &top.directory, name)?;
        self.moved += 1;
        Ok(())
    }
}

fn hex_random() -> io::Result<String> {
    let bytes = crate::random::bytes32()?;
    Ok(bytes[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

/// One open directory of the walk.
struct Level {
    name: CString,
    directory: OwnedFd,
    entries: Dir,
}

impl Level {
    fn open(parent: impl AsFd, name: CString) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat2(parent, name.as_c_str(), flags, Mode::empty(), ResolveFlags::NO_XDEV)?;
        let entries = Dir::read_from(&directory)?;
        Ok(Self { name, directory, entries })
    }

    fn next_entry(&mut self) -> io::Result<Option<(CString, FileType)>> {
        for entry in self.entries.by_ref() {
            let entry = entry?;
            if entry.file_name() != c"." && entry.file_name() != c".." {
                return Ok(Some((entry.file_name().to_owned(), entry.file_type())));
            }
        }
        Ok(None)
    }
}

/// Unlinks a file. Returns false when it is a directory; a missing file counts as removed.
fn unlink(parent: impl AsFd, name: &CStr) -> io::Result<bool> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR | Errno::PERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
