//! How far a pull is, readable by anyone while it runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::digest::Digest;

/// Counters of one layer.
#[derive(Debug)]
pub struct LayerProgress {
    /// Digest of the blob.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub total_bytes: u64,
    done_bytes: AtomicU64,
}

impl LayerProgress {
    pub(super) fn new(digest: Digest, total_bytes: u64) -> Self {
        Self { digest, total_bytes, done_bytes: AtomicU64::new(0) }
    }

    /// Bytes of the blob that arrived, or all of them once the layer is known to be here.
    #[must_use]
    pub fn done_bytes(&self) -> u64 {
        self.done_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.done_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn restart(&self) {
        self.done_bytes.store(0, Ordering::Relaxed);
    }

    pub(super) fn finish(&self) {
        self.done_bytes.store(self.total_bytes, Ordering::Relaxed);
    }
}

/// Counters of one pull. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    layers: Arc<Mutex<Arc<[Arc<LayerProgress>]>>>,
    activity: Arc<AtomicU64>,
}

impl Progress {
    /// The layers, bottom first; empty until the manifest is known. An endpoint that fails half way gives place to
    /// the next with fresh counters.
    #[must_use]
    pub fn layers(&self) -> Arc<[Arc<LayerProgress>]> {
        Arc::clone(&self.layers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number that grows whenever anything arrives or is finished; a pull whose number stands still is stuck.
    #[must_use]
    pub fn activity(&self) -> u64 {
        self.activity.load(Ordering::Relaxed)
    }

    pub(super) fn advance(&self) {
        self.activity.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set(&self, layers: Vec<Arc<LayerProgress>>) {
        *self.layers.lock().unwrap_or_else(PoisonError::into_inner) = layers.into();
        self.advance();
    }
}
