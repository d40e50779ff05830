//! A layer being unpacked, invisible to every other program until it is committed.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::apply::{self, OnChownError};
use crate::config::ApplyLimits;
use crate::error::{ApplyError, StoreError};
use crate::overlay::{Overlay, Staging, create_private};

/// What unpacking a diff found out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppliedDiff {
    /// Size of the uncompressed archive in bytes, padding and trailing zeros included.
    pub size_bytes: u64,
    /// Entries of the archive, extended headers included.
    pub entries: u64,
    /// Owners that occur, sorted.
    pub uids: Vec<u32>,
    /// Groups that occur, sorted.
    pub gids: Vec<u32>,
    /// Whether the archive can be written again; not when it overwrites its own contents.
    pub is_reproducible: bool,
}

/// A private directory under `overlay/staging` in which a layer takes shape. Dropping it removes it, which may take as
/// long as removing the layer's files does.
#[derive(Debug)]
pub struct StagedLayer {
    staging: Staging,
    /// Opened before anything is written, so that syncing it reports every failed write since.
    sync: File,
    tar_split: PathBuf,
    on_chown_error: OnChownError,
    pub(crate) applied: Option<AppliedDiff>,
}

impl StagedLayer {
    /// A fresh one. Tar-split is staged beside the layers' table because the overlay directory is a mount of its own.
    pub(crate) fn create(
        overlay: &Overlay,
        layers: &std::path::Path,
        on_chown_error: OnChownError,
    ) -> Result<Self, StoreError> {
        let staging = Staging::create(overlay.home())?;
        let tar_split = layers.join(format!("{TAR_SPLIT_PREFIX}{}", staging.name()));
        create_private(&staging.path().join("layer/diff"))?;
        let sync = File::open(staging.path());
        let sync = sync.map_err(|source| StoreError::file("opening", staging.path(), source))?;
        Ok(Self { staging, sync, tar_split, on_chown_error, applied: None })
    }

    /// Unpacks an uncompressed tar stream in one pass, up to the stream's end: the tree, and what is needed to
    /// write the same stream again. Does not hash: a caller that wants the diff id hashes what passes through `tar`,
    /// which is read completely, trailing bytes included. To be called once.
    ///
    /// # Errors
    /// The stream, its contents or the disk; the staged layer is then of no use but to be dropped.
    pub fn apply(&mut self, tar: impl Read, limits: &ApplyLimits) -> Result<AppliedDiff, ApplyError> {
        let diff = File::open(self.layer().join("diff")).map_err(ApplyError::Staging)?;
        let split = File::create_new(&self.tar_split).map_err(ApplyError::Staging)?;
        let applied = apply::apply(tar, OwnedFd::from(diff), split, limits, self.on_chown_error)?;
        let applied = AppliedDiff {
            size_bytes: applied.size_bytes,
            entries: applied.entries,
            uids: applied.uids,
            gids: applied.gids,
            is_reproducible: applied.is_reproducible,
        };
        self.applied = Some(applied.clone());
        Ok(applied)
    }

    /// The directory that becomes `overlay/<id>`.
    pub(crate) fn layer(&self) -> PathBuf {
        self.staging.path().join("layer")
    }

    /// Makes everything durable with one call, and returns the tar-split file to be kept, if any.
    pub(crate) fn sync(&self) -> Result<Option<PathBuf>, StoreError> {
        let fail = |source: std::io::Error| StoreError::file("syncing", self.staging.path(), source);
        rustix::fs::syncfs(&self.sync).map_err(|errno| fail(errno.into()))?;
        if !self.applied.as_ref().is_some_and(|applied| applied.is_reproducible) {
            return Ok(None);
        }
        let split = File::open(&self.tar_split).and_then(|split| split.sync_all());
        split.map_err(|source| StoreError::file("syncing", &self.tar_split, source))?;
        Ok(Some(self.tar_split.clone()))
    }
}

impl Drop for StagedLayer {
    fn drop(&mut self) {
        // Gone already when it was committed; what cannot be removed the next start removes.
        let _ = fs::remove_file(&self.tar_split);
    }
}

/// How staged tar-split files are called, before the name of their staging directory.
pub(crate) const TAR_SPLIT_PREFIX: &str = "staging-";
