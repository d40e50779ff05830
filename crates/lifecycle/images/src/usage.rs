//! What images and containers occupy.
//!
//! Sizes are on record. Inodes are not, so layers are walked for them: once each, because a layer never changes, one after the
//! other in the background, and never while a client waits. Until then a layer counts as none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crio_storage::{Store, Usage};
use crio_types::{FilesystemUsage, LayerId, Timestamp};
use tokio::sync::Notify;

/// Use of the file systems that hold images and writable layers (CRI `ImageFsInfo`). Both parts are always present,
/// because kubelet indexes the first element of each list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFilesystems {
    /// Where images are.
    pub images: FilesystemUsage,
    /// Where writable layers are.
    pub containers: FilesystemUsage,
}

impl ImageFilesystems {
    /// Both parts for a store at `root`. They name the same directory, as CRI-O does: different ones would make
    /// kubelet treat images and containers as two disks.
    pub(crate) fn new(root: &Path, usage: Usage) -> Self {
        let images = FilesystemUsage {
            timestamp: Timestamp::now(),
            mountpoint: root.join("overlay-images").to_string_lossy().into_owned(),
            used_bytes: usage.bytes,
            inodes_used: usage.inodes,
        };
        Self { containers: images.clone(), images }
    }
}

/// How many inodes each layer takes.
#[derive(Debug, Default)]
pub(crate) struct Inodes {
    counts: Mutex<Counts>,
    wanted: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    counted: BTreeMap<LayerId, u64>,
    /// Layers that are to be counted.
    unknown: BTreeSet<LayerId>,
}

impl Inodes {
    /// How many these layers, which are all there are, take as far as is known; those that are not known are counted soon.
    pub(crate) fn of(&self, layers: &[LayerId]) -> u64 {
        let mut counts = self.lock();
        if counts.counted.len() > layers.len() {
            let present: BTreeSet<&LayerId> = layers.iter().collect();
            counts.counted.retain(|id, _| present.contains(id));
        }
        let unknown: Vec<&LayerId> = layers.iter().filter(|id| !counts.counted.contains_key(id)).collect();
        if !unknown.is_empty() {
            counts.unknown.extend(unknown.into_iter().cloned());
            self.wanted.notify_one();
        }
        layers.iter().filter_map(|id| counts.counted.get(id)).sum()
    }

    /// Waits for a layer that is to be counted.
    pub(crate) async fn next(&self) -> LayerId {
        loop {
            let next = self.lock().unknown.pop_first();
            match next {
                Some(layer) => return layer,
                None => self.wanted.notified().await,
            }
        }
    }

    /// Counts a layer. Blocks on the disk. One that is gone meanwhile is asked for no more.
    pub(crate) fn count(&self, store: &Store, layer: LayerId) {
        match store.layer_inodes(&layer) {
            Ok(inodes) => drop(self.lock().counted.insert(layer, inodes)),
            Err(error) => {
                tracing::debug!(%layer, error = crio_types::chain(&error), "the inodes of a layer were not counted");
            }
        }
    }

    /// The tables are whole between any two statements, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn unknown_layers_are_wanted_once_and_known_ones_add_up() {
        let inodes = Inodes::default();
        let layers: Vec<LayerId> = [1, 2, 3].map(|number| LayerId::from_bytes([number; 32])).into();
        assert_eq!(inodes.of(&layers), 0);
        assert_eq!(inodes.of(&layers), 0);
        for (layer, count) in layers.iter().zip([5, 7, 11]) {
            assert_eq!(inodes.next().await, *layer);
            inodes.lock().counted.insert(layer.clone(), count);
        }
        assert_eq!(inodes.of(&layers), 23);
        assert!(inodes.lock().unknown.is_empty());
        assert_eq!(inodes.of(&layers[1..]), 18, "a layer that is gone counts no more");
        assert_eq!(inodes.lock().counted.len(), 2);
    }
}
