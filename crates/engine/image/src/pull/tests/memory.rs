//! A sink that keeps layers in memory and knows when something was left behind.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::digest::Digest;
use crate::pull::{ChainPosition, LayerInfo, LayerSink, PulledImage, SinkError};

#[derive(Debug, Default)]
pub(super) struct MemorySink {
    layers: Mutex<BTreeMap<(usize, Digest), Vec<u8>>>,
    recorded: Mutex<Vec<Digest>>,
    staged: Arc<AtomicUsize>,
    /// Fails to record images while set.
    pub(super) full: std::sync::atomic::AtomicBool,
}

/// Counts as long as it exists.
#[derive(Debug)]
pub(super) struct Staged {
    content: Vec<u8>,
    count: Arc<AtomicUsize>,
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl MemorySink {
    /// The tar streams of all layers, bottom first.
    pub(super) fn layers(&self) -> Vec<Vec<u8>> {
        self.layers.lock().unwrap().values().cloned().collect()
    }

    pub(super) fn recorded(&self) -> Vec<Digest> {
        self.recorded.lock().unwrap().clone()
    }

    /// Fails unless nothing is visible, and nothing is staged once the threads have come to their end.
    pub(super) async fn assert_untouched(&self) {
        assert!(self.layers.lock().unwrap().is_empty());
        assert!(self.recorded.lock().unwrap().is_empty());
        for _ in 0..500 {
            if self.staged.load(Ordering::SeqCst) == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} layers stay staged", self.staged.load(Ordering::SeqCst));
    }
}

impl LayerSink for MemorySink {
    type Staged = Staged;

    fn existing(&self, chain: &[ChainPosition]) -> Result<Vec<bool>, SinkError> {
        let layers = self.layers.lock().unwrap();
        Ok(chain.iter().map(|position| layers.contains_key(&key(position))).collect())
    }

    fn stage(&self, tar: &mut dyn Read) -> Result<Staged, SinkError> {
        self.staged.fetch_add(1, Ordering::SeqCst);
        let mut staged = Staged { content: Vec::new(), count: Arc::clone(&self.staged) };
        match tar.read_to_end(&mut staged.content) {
            Ok(_) => Ok(staged),
            Err(error) => Err(SinkError {
                what: "keeping the layer",
                kind: crio_types::ErrorKind::Internal,
                retry: false,
                source: Box::new(error),
            }),
        }
    }

    fn commit(&self, position: &ChainPosition, mut staged: Staged, info: &LayerInfo) -> Result<(), SinkError> {
        assert_eq!(info.diff_size_bytes, staged.content.len() as u64);
        assert_eq!(Digest::of(&staged.content), *position.diff_id());
        self.layers.lock().unwrap().insert(key(position), std::mem::take(&mut staged.content));
        Ok(())
    }

    fn record(&self, image: &PulledImage) -> Result<(), SinkError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(SinkError {
                what: "recording the image",
                kind: crio_types::ErrorKind::ResourceExhausted,
                retry: false,
                source: "the disk is full".into(),
            });
        }
        self.recorded.lock().unwrap().push(image.config_digest);
        Ok(())
    }

    fn roll_back(&self, committed: &[ChainPosition]) {
        let mut layers = self.layers.lock().unwrap();
        committed.iter().for_each(|position| drop(layers.remove(&key(position))));
    }
}

fn key(position: &ChainPosition) -> (usize, Digest) {
    (position.diff_ids().len(), *position.chain_id())
}
