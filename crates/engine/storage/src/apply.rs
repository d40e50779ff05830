//! Unpacks the archive of a layer into a directory, in one pass, recording what tar-split needs on the way.
//!
//! Whiteouts become what overlay understands: `.wh.NAME` a character device 0:0 called NAME, `.wh..wh..opq` the
//! extended attribute `trusted.overlay.opaque` of its directory. As the image specification says, they hide what
//! *lower* layers hold and never what the same archive brings, whichever comes first.
//!
//! Everything happens below one directory descriptor. Paths are cleaned first (`..` cannot climb above the root),
//! parents are opened one name at a time without following links, and a link among them is resolved by the kernel with
//! the directory as root. A later entry replaces an earlier one of the same path, except that directories are merged.
//! Such archives can still be written again as long as no contents were lost; when they were, tar-split is not kept.

mod attributes;
mod path;
mod tree;
mod whiteout;

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;

use crate::config::ApplyLimits;
use crate::error::ApplyError;
use crate::tar::{Archive, Entry, Kind, Payload, Region};
use crate::tar_split;
use path::CleanPath;
use tree::{Novelty, Tree};
use whiteout::Whiteout;

pub(crate) use attributes::OnChownError;

/// What came of an archive.
pub(crate) struct Applied {
    pub(crate) size_bytes: u64,
    pub(crate) entries: u64,
    pub(crate) uids: Vec<u32>,
    pub(crate) gids: Vec<u32>,
    /// The archive can be put together again.
    pub(crate) is_reproducible: bool,
}

/// Unpacks `reader` into `directory` and writes tar-split into `split_file`.
pub(crate) fn apply(
    reader: impl Read,
    directory: OwnedFd,
    split_file: File,
    limits: &ApplyLimits,
    on_chown_error: OnChownError,
) -> Result<Applied, ApplyError> {
    let mut unpacker = Unpacker {
        archive: Archive::new(reader, *limits),
        tree: Tree::new(directory, on_chown_error).map_err(ApplyError::Staging)?,
        split: tar_split::Writer::new(split_file),
        uids: HashSet::new(),
        gids: HashSet::new(),
    };
    while let Some(entry) = unpacker.archive.next_entry(&mut unpacker.split)? {
        unpacker.entry(&entry)?;
    }
    unpacker.archive.finish(&mut unpacker.split)?;
    unpacker.tree.set_directory_times()?;
    unpacker.split.finish().map_err(ApplyError::TarSplit)?;
    Ok(Applied {
        size_bytes: unpacker.archive.position(),
        entries: unpacker.archive.entries(),
        uids: sorted(unpacker.uids),
        gids: sorted(unpacker.gids),
        is_reproducible: !unpacker.tree.has_lost_contents(),
    })
}

fn sorted(ids: HashSet<u32>) -> Vec<u32> {
    let mut ids: Vec<u32> = ids.into_iter().collect();
    ids.sort_unstable();
    ids
}

struct Unpacker<R> {
    archive: Archive<R>,
    tree: Tree,
    split: tar_split::Writer,
    uids: HashSet<u32>,
    gids: HashSet<u32>,
}

impl<R: Read> Unpacker<R> {
    fn entry(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        let path = CleanPath::new(&entry.path);
        let Some(name) = path.name() else {
            return self.root_entry(entry);
        };
        if let Some(whiteout) = Whiteout::parse(name) {
            self.tree.whiteout(whiteout, &path, entry)?;
            return self.split.flush_segment().map_err(ApplyError::TarSplit);
        }
        self.uids.insert(entry.uid);
        self.gids.insert(entry.gid);
        let novelty = match entry.kind {
            Kind::File => return self.file(entry, &path),
            Kind::Directory => self.tree.directory(entry, &path)?,
            Kind::HardLink => self.tree.hard_link(entry, &path)?,
            Kind::Symlink | Kind::Character | Kind::Block | Kind::Fifo => self.tree.special(entry, &path)?,
        };
        self.record(entry, novelty)
    }

    /// The root itself. As in containers/storage its attributes stay the lower layer's; anything but a directory in
    /// its place is an attack.
    fn root_entry(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        if entry.kind != Kind::Directory {
            return Err(ApplyError::RootReplaced);
        }
        self.split.flush_segment().map_err(ApplyError::TarSplit)
    }

    fn file(&mut self, entry: &Entry, path: &CleanPath<'_>) -> Result<(), ApplyError> {
        let (mut file, novelty) = self.tree.file(path)?;
        // A file whose recorded name would lead a reader elsewhere, or that has holes, is recorded byte by byte.
        let can_refer = novelty == Novelty::New && entry.regions.is_none() && !path.climbs();
        if entry.size > 0 {
            self.archive.set_payload(if can_refer { Payload::Referenced } else { Payload::Recorded });
            self.write_contents(&mut file, entry, path)?;
        }
        self.tree.finish_file(&file, entry, path)?;
        if can_refer || entry.size == 0 { self.record(entry, novelty) } else { Ok(()) }
    }

    fn write_contents(&mut self, file: &mut File, entry: &Entry, path: &CleanPath<'_>) -> Result<(), ApplyError> {
        let whole = [Region { offset: 0, length: entry.size }];
        let regions = entry.regions.as_deref().unwrap_or(&whole);
        if entry.regions.is_some() {
            file.set_len(entry.size).map_err(|source| path.error("extending", source))?;
        }
        for region in regions {
            if entry.regions.is_some() {
                file.seek(SeekFrom::Start(region.offset)).map_err(|source| path.error("seeking in", source))?;
            }
            let mut left = region.length;
            while left > 0 {
                left -= self.archive.read_chunk(left, &mut self.split, |chunk| {
                    file.write_all(chunk).map_err(|source| path.error("writing", source))
                })?;
            }
        }
        Ok(())
    }

    /// Ends the record of an entry. Only a new name is noted: a name that something else had may stand there already.
    fn record(&mut self, entry: &Entry, novelty: Novelty) -> Result<(), ApplyError> {
        match novelty {
            Novelty::New => self.split.file(&entry.path),
            Novelty::Known => self.split.flush_segment(),
        }
        .map_err(ApplyError::TarSplit)
    }
}

#[cfg(test)]
mod tests;
