//! Layers: staging, committing, finding, exporting.

use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;

use crio_sys::confined::Root;
use crio_types::{LayerId, Timestamp};

use super::{DURABLE, Store};
use crate::error::StoreError;
use crate::overlay::Trash;
use crate::record::{Compression, LayerRecord, layer_object};
use crate::staging::StagedLayer;
use crate::tar_split;

/// What a staged layer becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerInfo {
    /// Its id; [`crate::layer_id()`] computes it.
    pub id: LayerId,
    /// The layer below, committed before.
    pub parent: Option<LayerId>,
    /// Digest of the uncompressed blob, as `sha256:<hex>`.
    pub diff_digest: String,
    /// Size of the uncompressed blob in bytes.
    pub diff_size_bytes: u64,
    /// Digest of the blob as it came, as `sha256:<hex>`.
    pub compressed_digest: Option<String>,
    /// Size of the blob as it came, in bytes.
    pub compressed_size_bytes: Option<u64>,
    /// How the blob was compressed.
    pub compression: Compression,
}

/// What became of a commit once the lock was held.
enum Commit {
    Done,
    /// Another process committed the same layer first.
    Existed,
}

impl Store {
    /// A fresh staging directory. Layers of one image are staged in parallel and committed from the lowest up.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn stage_layer(&self) -> Result<StagedLayer, StoreError> {
        StagedLayer::create(&self.shared.overlay, &self.layers_directory(), self.on_chown_error())
    }

    /// Makes a staged layer durable and visible. When the layer exists already the staged one is dropped.
    ///
    /// # Errors
    /// The parent is unknown, or syncing, renaming or indexing failed; nothing is visible then.
    pub fn commit_layer(&self, staged: StagedLayer, info: &LayerInfo) -> Result<(), StoreError> {
        if self.layer(&info.id)?.is_some() {
            return Ok(());
        }
        self.require_layer(info.parent.as_ref())?;
        for digest in [Some(&info.diff_digest), info.compressed_digest.as_ref()].into_iter().flatten() {
            if crate::layer_id(None, digest).is_none() {
                return Err(StoreError::BadDigest(digest.clone()));
            }
        }
        let overlay = &self.shared.overlay;
        let link = overlay.complete(&staged.layer(), info.parent.as_ref())?;
        let tar_split = staged.sync()?;
        let trash = Trash::new(overlay.home());
        let commit = self.shared.layers.write(|edit| {
            if edit.get(info.id.as_str()).is_some_and(|layer| !layer.is_incomplete) {
                return Ok(Commit::Existed);
            }
            if let Some(parent) = info.parent.as_ref().filter(|parent| edit.get(parent.as_str()).is_none()) {
                return Err(StoreError::LayerUnknown(parent.clone()));
            }
            edit.remove(info.id.as_str());
            overlay.publish(&staged.layer(), &link, &info.id, &trash)?;
            let kept = self.tar_split_path(&info.id);
            if let Some(staged) = tar_split {
                fs::rename(&staged, &kept).map_err(|source| StoreError::file("moving tar-split to", kept, source))?;
            }
            let applied = staged.applied.clone().unwrap_or_default();
            edit.add(DURABLE, &layer_object(&record(info), &applied.uids, &applied.gids));
            Ok(Commit::Done)
        })?;
        if let Commit::Existed = commit {
            drop(staged);
        }
        trash.empty()
    }

    /// The layer with this id.
    ///
    /// # Errors
    /// The table changed and cannot be read.
    pub fn layer(&self, id: &LayerId) -> Result<Option<Arc<LayerRecord>>, StoreError> {
        let layer = self.shared.layers.read()?.get(id.as_str()).cloned();
        Ok(layer.filter(|layer| !layer.is_incomplete))
    }

    /// Layers made from a blob with this digest, as `sha256:<hex>`. Their `diff_digest` saves a download when
    /// [`crate::layer_id()`] over it exists.
    ///
    /// # Errors
    /// The table changed and cannot be read.
    pub fn layers_by_compressed_digest(&self, digest: &str) -> Result<Vec<Arc<LayerRecord>>, StoreError> {
        let layers = self.shared.layers.read()?;
        let matching =
            |layer: &&Arc<LayerRecord>| !layer.is_incomplete && layer.compressed_digest.as_deref() == Some(digest);
        Ok(layers.rows.iter().filter(matching).cloned().collect())
    }

    /// Writes the uncompressed archive a layer was made from, byte for byte.
    ///
    /// # Errors
    /// The layer is unknown, its archive was not recorded, its files changed since, or `out` failed.
    pub fn export_layer(&self, id: &LayerId, out: impl Write) -> Result<(), StoreError> {
        if self.layer(id)?.is_none() {
            return Err(StoreError::LayerUnknown(id.clone()));
        }
        let split = File::open(self.tar_split_path(id)).map_err(|_| StoreError::NotExportable(id.clone()))?;
        let diff = self.shared.overlay.diff(id);
        let files = Root::open(&diff).map_err(|source| StoreError::file("opening", diff, source))?;
        tar_split::assemble(split, &files, out).map_err(|source| StoreError::Export { layer: id.clone(), source })
    }

    /// Refuses a layer that is not there.
    pub(super) fn require_layer(&self, id: Option<&LayerId>) -> Result<(), StoreError> {
        match id {
            Some(id) if self.layer(id)?.is_none() => Err(StoreError::LayerUnknown(id.clone())),
            _ => Ok(()),
        }
    }

    /// Takes a layer's files away; its row is gone from disk already.
    pub(super) fn discard_layer(&self, id: &LayerId, trash: &Trash) -> Result<(), StoreError> {
        let mut failures = Vec::new();
        failures.extend(self.shared.overlay.unmount(id).err());
        failures.extend(self.shared.overlay.discard(id, trash).err());
        let split = self.tar_split_path(id);
        let removed = crate::overlay::missing_is_fine(fs::remove_file(&split));
        failures.extend(removed.err().map(|source| StoreError::file("removing", split, source)));
        // Data items of layers: podman keeps some, we never do.
        let items = self.layers_directory().join(id.as_str());
        let removed = crio_sys::confined::remove_tree(&items);
        failures.extend(removed.err().map(|source| StoreError::file("removing", items, source)));
        StoreError::gather(failures)
    }
}

fn record(info: &LayerInfo) -> LayerRecord {
    LayerRecord {
        id: info.id.clone(),
        parent: info.parent.clone(),
        created: Timestamp::now(),
        compressed_digest: info.compressed_digest.clone(),
        compressed_size_bytes: info.compressed_size_bytes,
        diff_digest: Some(info.diff_digest.clone()),
        diff_size_bytes: Some(info.diff_size_bytes),
        compression: info.compression,
        mount_label: String::new(),
        is_incomplete: false,
    }
}
