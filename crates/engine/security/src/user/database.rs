//! The image's `/etc/passwd` and `/etc/group`: opened confined, read through a limit, searched line by line.
//!
//! The image may hold anything under these names: a link out of its root, a FIFO, a device, gigabytes. A path is
//! resolved by the kernel inside the root, looked at without being opened (opening a device may already do something),
//! and read only when it is a regular file within the limit. A line that cannot be an entry is skipped, as libc does.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::Path;

use crio_sys::confined::Root;
use crio_types::{Classified, ErrorKind};
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;

use super::SynthesisedFile;

/// The largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;
/// The longest line that is accepted, in bytes.
pub const MAX_LINE_BYTES: usize = 64 << 10;

/// Why the image's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The root file system is not there.
    #[error("cannot open the root file system {path:?}")]
    Rootfs {
        /// Its path.
        path: std::path::PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file cannot be opened or read.
    #[error("cannot read the image's {file}")]
    Read {
        /// Path inside the image.
        file: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Not a regular file.
    #[error("the image's {file} is not a regular file")]
    NotRegular {
        /// Path inside the image.
        file: &'static str,
    },
    /// Too large.
    #[error("the image's {file} is larger than {MAX_FILE_BYTES} bytes")]
    TooLarge {
        /// Path inside the image.
        file: &'static str,
    },
    /// A line is too long.
    #[error("the image's {file} has a line longer than {MAX_LINE_BYTES} bytes")]
    LongLine {
        /// Path inside the image.
        file: &'static str,
    },
}

impl Classified for DatabaseError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Rootfs { .. } | Self::Read { .. } => ErrorKind::Internal,
            Self::NotRegular { .. } | Self::TooLarge { .. } | Self::LongLine { .. } => ErrorKind::InvalidArgument,
        }
    }
}

/// One user of `/etc/passwd`.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) id: u32,
    pub(super) gid: u32,
}

/// Both files, as far as the image has them.
pub(super) struct Database {
    passwd: Option<File>,
    group: Option<File>,
}

struct File {
    content: Vec<u8>,
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Database {
    pub(super) fn read(rootfs: &Path) -> Result<Self, DatabaseError> {
        let root = Root::open(rootfs).map_err(|source| DatabaseError::Rootfs { path: rootfs.to_owned(), source })?;
        Ok(Self { passwd: read_confined(&root, "/etc/passwd")?, group: read_confined(&root, "/etc/group")? })
    }

    pub(super) fn user_by_id(&self, uid: u32) -> Option<Entry> {
        self.users().find(|entry| entry.id == uid)
    }

    pub(super) fn user_by_name(&self, name: &str) -> Option<Entry> {
        self.users().find(|entry| entry.name == name)
    }

    pub(super) fn group_by_name(&self, name: &str) -> Option<u32> {
        self.groups().find(|group| group.name == name.as_bytes()).map(|group| group.gid)
    }

    /// The gids of the groups that list `user` as a member, in the order of the file.
    pub(super) fn groups_of(&self, user: &str) -> Vec<u32> {
        self.groups()
            .filter(|group| group.members.split(|b| *b == b',').any(|member| member == user.as_bytes()))
            .map(|group| group.gid)
            .collect()
    }

    /// A passwd file that knows `uid`, when the image's does not and the process could not write it itself.
    pub(super) fn passwd_with(
        &self,
        uid: u32,
        gid: u32,
        groups: &[u32],
        name: &str,
        home: &str,
    ) -> Option<SynthesisedFile> {
        if self.user_by_id(uid).is_some() {
            return None;
        }
        let line = format!("{name}:x:{uid}:{gid}:{name} user:{home}:/sbin/nologin\n");
        self.passwd.as_ref()?.with_line(&line, uid, groups)
    }

    /// A group file that knows `gid`, under the same conditions.
    pub(super) fn group_with(&self, uid: u32, gid: u32, groups: &[u32]) -> Option<SynthesisedFile> {
        if self.groups().any(|group| group.gid == gid) {
            return None;
        }
        let line = format!("{gid}:x:{gid}:\n");
        self.group.as_ref()?.with_line(&line, uid, groups)
    }

    fn users(&self) -> impl Iterator<Item = Entry> {
        lines(self.passwd.as_ref()).filter_map(|line| {
            let mut fields = line.split(|b| *b == b':');
            let name = String::from_utf8(fields.next()?.to_vec()).ok().filter(|name| !name.is_empty())?;
            let mut numbers = fields.skip(1).map(number);
            Some(Entry { name, id: numbers.next()??, gid: numbers.next()?? })
        })
    }

    fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        lines(self.group.as_ref()).filter_map(|line| {
            let mut fields = line.split(|b| *b == b':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let gid = number(fields.nth(1)?)?;
            Some(Group { name, gid, members: fields.next().unwrap_or_default() })
        })
    }
}

struct Group<'a> {
    name: &'a [u8],
    gid: u32,
    members: &'a [u8],
}

impl File {
    fn with_line(&self, line: &str, uid: u32, groups: &[u32]) -> Option<SynthesisedFile> {
        if self.content.is_empty() || self.writable_by(uid, groups) {
            return None;
        }
        let mut content = self.content.clone();
        if content.last() != Some(&b'\n') {
            content.push(b'\n');
        }
        content.extend_from_slice(line.as_bytes());
        Some(SynthesisedFile { content, mode: self.mode, uid: self.uid, gid: self.gid })
    }

    /// Images that let their user write these files add the line themselves; a file of ours would undo that.
    fn writable_by(&self, uid: u32, groups: &[u32]) -> bool {
        let owner = self.uid == uid && self.mode & 0o200 != 0;
        let group = groups.contains(&self.gid) && self.mode & 0o020 != 0;
        owner || group || self.mode & 0o002 != 0
    }
}

fn lines(file: Option<&File>) -> impl Iterator<Item = &[u8]> {
    file.map_or(&[][..], |file| &file.content)
        .split(|b| *b == b'\n')
        .map(|line| line.trim_ascii())
        .filter(|line| !line.is_empty() && line[0] != b'#')
}

/// A plain decimal number; a sign, a space or a hexadecimal prefix is none.
fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn read_confined(root: &Root, path: &'static str) -> Result<Option<File>, DatabaseError> {
    let failed = |source: io::Error| DatabaseError::Read { file: path, source };
    let looked_at = match root.open_at(Path::new(path), OFlags::PATH, Mode::empty()) {
        Ok(found) => found,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let stat = fstat(&looked_at).map_err(|errno| failed(errno.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(DatabaseError::NotRegular { file: path });
    }
    // The descriptor names one inode for good, so what is opened is what was looked at.
    let link = format!("/proc/self/fd/{}", looked_at.as_raw_fd());
    let mut content = Vec::new();
    std::fs::File::open(link)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content))
        .map_err(failed)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(DatabaseError::TooLarge { file: path });
    }
    if content.split(|b| *b == b'\n').any(|line| line.len() > MAX_LINE_BYTES) {
        return Err(DatabaseError::LongLine { file: path });
    }
    Ok(Some(File { content, mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid }))
}

/// Many images have neither file; a link to nowhere or in a circle is as good as none.
fn is_absence(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}
