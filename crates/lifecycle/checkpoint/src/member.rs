//! The names in an archive, which are contract, and how an entry's path becomes one of them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Which container it was.
pub const CONFIG_DUMP: &str = "config.dump";
/// Its specification.
pub const SPEC_DUMP: &str = "spec.dump";
/// The directory of its processes' state.
pub const IMAGES: &str = "checkpoint";
/// What it made in its root.
pub const ROOTFS_DIFF: &str = "rootfs-diff.tar";
/// What it took away from its root.
pub const DELETED_FILES: &str = "deleted.files";
/// What was mounted into it from the host.
pub const BIND_MOUNTS: &str = "bind.mounts";
/// Its log.
pub const LOG: &str = "io.kubernetes.cri-o.LogPath";
/// CRIU's log.
pub const DUMP_LOG: &str = "dump.log";
/// CRIU's figures.
pub const STATS_DUMP: &str = "stats-dump";

/// The longest name of a file.
const NAME_MAX_BYTES: usize = 255;

/// What an entry of an archive is to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Member<'a> {
    /// [`CONFIG_DUMP`].
    Config,
    /// [`SPEC_DUMP`].
    Spec,
    /// [`ROOTFS_DIFF`].
    RootfsDiff,
    /// [`DELETED_FILES`].
    DeletedFiles,
    /// The directory [`IMAGES`] itself.
    Images,
    /// A file in it.
    Image(&'a OsStr),
    /// Nothing that a restore needs.
    Other,
}

impl<'a> Member<'a> {
    /// What the entry of this path is; the reason when no honest archive has such a path.
    pub(crate) fn of(path: &'a [u8]) -> Result<Self, &'static str> {
        let path = path.strip_prefix(b"./").unwrap_or(path);
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let words: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        if words.iter().any(|word| word.is_empty() || matches!(*word, b"." | b"..")) {
            return if matches!(path, b"" | b".") { Ok(Self::Other) } else { Err("is no plain path in the archive") };
        }
        if words.iter().any(|word| word.len() > NAME_MAX_BYTES) {
            return Err("has a name that no file can have");
        }
        let is = |word: &[u8], name: &str| word == name.as_bytes();
        match words.as_slice() {
            [word] if is(word, CONFIG_DUMP) => Ok(Self::Config),
            [word] if is(word, SPEC_DUMP) => Ok(Self::Spec),
            [word] if is(word, ROOTFS_DIFF) => Ok(Self::RootfsDiff),
            [word] if is(word, DELETED_FILES) => Ok(Self::DeletedFiles),
            [word] if is(word, IMAGES) => Ok(Self::Images),
            [directory, name] if is(directory, IMAGES) => Ok(Self::Image(OsStr::from_bytes(name))),
            [directory, ..] if is(directory, IMAGES) => Err("is below a directory that CRIU does not make"),
            _ => Ok(Self::Other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_known_passed_over_or_refused() {
        let cases = [
            ("config.dump", Some(Member::Config)),
            ("./spec.dump", Some(Member::Spec)),
            ("rootfs-diff.tar", Some(Member::RootfsDiff)),
            ("deleted.files", Some(Member::DeletedFiles)),
            ("checkpoint/", Some(Member::Images)),
            ("checkpoint", Some(Member::Images)),
            ("checkpoint/core-1.img", Some(Member::Image(OsStr::new("core-1.img")))),
            ("./checkpoint/pages-1.img", Some(Member::Image(OsStr::new("pages-1.img")))),
            ("dump.log", Some(Member::Other)),
            ("artifacts/x", Some(Member::Other)),
            ("./", Some(Member::Other)),
            ("/config.dump", None),
            ("../config.dump", None),
            ("checkpoint/../../etc/passwd", None),
            ("checkpoint/..", None),
            ("checkpoint/sub/core-1.img", None),
            ("checkpoint//core-1.img", None),
            ("a/./b", None),
        ];
        for (path, expected) in cases {
            assert_eq!(Member::of(path.as_bytes()).ok(), expected, "{path}");
        }
        assert!(Member::of(&[b'x'; 300]).is_err());
    }
}
