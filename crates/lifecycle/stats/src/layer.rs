//! How much disk one directory tree takes.
//!
//! The tree is a container's own: it may change under the walk, be very deep or very large. The walk goes from directory
//! descriptor to directory descriptor without following symbolic links or crossing into another file system, counts a file with
//! several links once, and stops at its limits; what it has counted by then is a lower bound.

use std::collections::HashSet;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat};

/// Directories held open at once, one for each level; what is deeper is not counted.
const DEPTH_MAX: usize = 256;
/// Files with several links that are remembered; what is beyond may be counted twice.
const LINKS_MAX: usize = 100_000;
/// Entries between two looks at the clock.
const CLOCK_EVERY: u64 = 256;
/// The unit of `st_blocks`.
const BLOCK_BYTES: u64 = 512;

/// What a tree takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    pub(crate) bytes: u64,
    pub(crate) inodes: u64,
}

/// Measures the tree below `directory`, that directory included, until it is done or the deadline passes.
pub(crate) fn measure(directory: &Path, deadline: Instant) -> io::Result<Usage> {
    let root = openat(CWD, directory, OPEN, Mode::empty())?;
    let stat = rustix::fs::fstat(&root)?;
    let mut walk = Walk { usage: Usage::default(), device: stat.st_dev, links: HashSet::new(), deadline, seen: 0 };
    walk.count(&stat);
    walk.run(root);
    Ok(walk.usage)
}

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

struct Walk {
    usage: Usage,
    device: u64,
    links: HashSet<u64>,
    deadline: Instant,
    seen: u64,
}

/// One directory on the way down, and its subdirectories that are still to be visited.
struct Level {
    directory: OwnedFd,
    pending: Vec<CString>,
}

impl Walk {
    fn run(&mut self, root: OwnedFd) {
        let mut levels: Vec<Level> = self.read(root).into_iter().collect();
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.pending.pop() else {
                levels.pop();
                continue;
            };
            // A directory that vanished or was replaced meanwhile is not ours to count any more.
            let Ok(child) = openat(&level.directory, &name, OPEN, Mode::empty()) else {
                continue;
            };
            if levels.len() < DEPTH_MAX {
                levels.extend(self.read(child));
            }
        }
    }

    /// Counts a directory's entries; `None` when it cannot be read or time is up.
    fn read(&mut self, directory: OwnedFd) -> Option<Level> {
        let mut pending = Vec::new();
        for entry in Dir::read_from(&directory).ok()? {
            let Ok(entry) = entry else { break };
            let name = entry.file_name();
            if name.to_bytes() == b"." || name.to_bytes() == b".." {
                continue;
            }
            self.seen += 1;
            if self.seen.is_multiple_of(CLOCK_EVERY) && Instant::now() >= self.deadline {
                self.seen = CLOCK_EVERY - 1;
                return None;
            }
            let Ok(stat) = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if stat.st_dev == self.device {
                self.count(&stat);
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    pending.push(name.to_owned());
                }
            }
        }
        Some(Level { directory, pending })
    }

    fn count(&mut self, stat: &Stat) {
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if stat.st_nlink > 1 && !is_directory {
            if self.links.contains(&stat.st_ino) {
                return;
            }
            if self.links.len() < LINKS_MAX {
                self.links.insert(stat.st_ino);
            }
        }
        self.usage.inodes += 1;
        self.usage.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * BLOCK_BYTES;
    }
}

#[cfg(test)]
mod tests;
