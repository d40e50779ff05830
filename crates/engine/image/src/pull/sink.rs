//! Where layers go. The pipeline knows nothing of storage; this is all it asks of it.

use std::io::Read;
use std::sync::Arc;

use crio_types::{Classified, ErrorKind};
use sha2::{Digest as _, Sha256};

use super::PulledImage;
use crate::digest::Digest;

/// A layer's place: itself and everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainPosition {
    diff_ids: Arc<[Digest]>,
    index: usize,
    chain_id: Digest,
}

impl ChainPosition {
    /// The positions of a stack of layers, bottom first.
    #[must_use]
    pub fn chain(diff_ids: &[Digest]) -> Vec<Self> {
        let all: Arc<[Digest]> = diff_ids.into();
        let mut below: Option<Digest> = None;
        let mut positions = Vec::with_capacity(diff_ids.len());
        for (index, diff_id) in diff_ids.iter().enumerate() {
            let chain_id = match below {
                None => *diff_id,
                Some(below) => Digest::from_hasher(Sha256::new_with_prefix(format!("{below} {diff_id}"))),
            };
            positions.push(Self { diff_ids: Arc::clone(&all), index, chain_id });
            below = Some(chain_id);
        }
        positions
    }

    /// Digest of the layer's uncompressed tar stream.
    #[must_use]
    pub fn diff_id(&self) -> &Digest {
        &self.diff_ids[self.index]
    }

    /// The diff ids of the layer and of all below it, bottom first.
    #[must_use]
    pub fn diff_ids(&self) -> &[Digest] {
        &self.diff_ids[..=self.index]
    }

    /// The OCI specification's chain id, which names the layer on top of those below.
    #[must_use]
    pub fn chain_id(&self) -> &Digest {
        &self.chain_id
    }
}

/// How a layer's blob is compressed, found by its first bytes and not by what its media type claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, possibly of several members.
    Gzip,
    /// zstd, possibly of several frames.
    Zstd,
}

/// What was found out about a layer while it was staged. All of it is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerInfo {
    /// Digest of the blob as the registry has it.
    pub compressed_digest: Digest,
    /// Size of that blob in bytes.
    pub compressed_size_bytes: u64,
    /// Its compression.
    pub compression: Compression,
    /// Size of the uncompressed tar stream in bytes.
    pub diff_size_bytes: u64,
}

/// Stores layers and images. All calls block and are made from blocking threads.
pub trait LayerSink: Send + Sync + 'static {
    /// A layer that is unpacked and not yet visible. Dropping it removes it.
    type Staged: Send + 'static;

    /// Which of these layers, each with all below it, are stored already; one answer each.
    ///
    /// # Errors
    /// The store cannot be read.
    fn existing(&self, chain: &[ChainPosition]) -> Result<Vec<bool>, SinkError>;

    /// Unpacks a tar stream, reading it to its end.
    ///
    /// # Errors
    /// The stream or the store fails; whatever was unpacked is gone.
    fn stage(&self, tar: &mut dyn Read) -> Result<Self::Staged, SinkError>;

    /// Makes a staged layer durable and visible. The layer below is committed.
    ///
    /// # Errors
    /// The store fails; the layer is not visible.
    fn commit(&self, position: &ChainPosition, staged: Self::Staged, info: &LayerInfo) -> Result<(), SinkError>;

    /// Records the image, whose layers are all committed.
    ///
    /// # Errors
    /// The store fails; the image is not visible.
    fn record(&self, image: &PulledImage) -> Result<(), SinkError>;

    /// Takes back layers that this pull committed, lowest first, as far as nothing else came to need them.
    fn roll_back(&self, committed: &[ChainPosition]);
}

/// A failure of the sink, in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct SinkError {
    /// What was attempted.
    pub what: &'static str,
    /// Its kind.
    pub kind: ErrorKind,
    /// Whether the same pull may succeed when begun again: something it counted on was removed meanwhile.
    pub retry: bool,
    /// Why.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl Classified for SinkError {
    fn kind(&self) -> ErrorKind {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_follow_the_specification() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let chain = ChainPosition::chain(&[a, b]);
        assert_eq!(*chain[0].chain_id(), a);
        assert_eq!(chain[0].diff_ids(), [a]);
        assert_eq!(*chain[1].chain_id(), Digest::of(format!("{a} {b}").as_bytes()));
        assert_eq!(chain[1].diff_ids(), [a, b]);
        assert_eq!(*chain[1].diff_id(), b);
        assert!(ChainPosition::chain(&[]).is_empty());
    }
}
