//! One layer: download, verify, unpack, in one pass.

use std::io::Read;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::channel::{self, Receiver, Sender};
use super::error::LayerError;
use super::progress::{LayerProgress, Progress};
use super::sink::{ChainPosition, LayerInfo, LayerSink};
use super::unpack::{Unpacked, Unpacker};
use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::registry::blob::BlobStream;
use crate::registry::session::Session;

/// What staging one layer needs.
pub(super) struct Layer<'a, S: LayerSink> {
    pub(super) session: &'a Session,
    pub(super) sink: &'a Arc<S>,
    pub(super) descriptor: &'a Descriptor,
    pub(super) position: &'a ChainPosition,
    pub(super) limit_bytes: u64,
    pub(super) counters: &'a LayerProgress,
    pub(super) progress: &'a Progress,
}

impl<S: LayerSink> Layer<'_, S> {
    /// Downloads and unpacks the layer. The blob's digest and size are checked before the unpacking thread is told
    /// that the stream is complete, so a wrong blob is never staged.
    pub(super) async fn stage(&self) -> Result<(S::Staged, LayerInfo), LayerError> {
        let (sender, receiver) = channel::channel();
        let sink = Arc::clone(self.sink);
        let limit = self.limit_bytes;
        let thread = tokio::task::spawn_blocking(move || unpack(sink.as_ref(), receiver, limit));
        let downloaded = self.download(sender).await;
        // Whether the download failed or not, the thread is done with what it was given and comes to its end; what it
        // staged is dropped with its result.
        let unpacked = thread.await.map_err(LayerError::Thread)?;
        match (downloaded, unpacked) {
            (Ok(Download::Complete), Ok((staged, unpacked))) => self.verified(staged, unpacked),
            // The unpacking side failed first: that is what stopped the download.
            (Ok(Download::Abandoned), Ok(_)) => Err(LayerError::Incomplete),
            (Ok(_), Err(error)) | (Err(error), _) => Err(error),
        }
    }

    async fn download(&self, sender: Sender) -> Result<Download, LayerError> {
        let mut stream = BlobStream::new(self.session, self.descriptor.digest, self.descriptor.size);
        let mut hasher = Sha256::new();
        while let Some(chunk) = stream.next().await.map_err(LayerError::Registry)? {
            hasher.update(&chunk);
            self.counters.add(chunk.len() as u64);
            self.progress.advance();
            if sender.send(chunk).await.is_err() {
                return Ok(Download::Abandoned);
            }
        }
        let actual = Digest::from_hasher(hasher);
        if actual != self.descriptor.digest {
            return Err(LayerError::Digest { expected: self.descriptor.digest, actual });
        }
        Ok(match sender.finish().await {
            Ok(()) => Download::Complete,
            Err(_) => Download::Abandoned,
        })
    }

    fn verified(&self, staged: S::Staged, unpacked: Unpacked) -> Result<(S::Staged, LayerInfo), LayerError> {
        if unpacked.diff_id != *self.position.diff_id() {
            return Err(LayerError::DiffId { expected: *self.position.diff_id(), actual: unpacked.diff_id });
        }
        let info = LayerInfo {
            compressed_digest: self.descriptor.digest,
            compressed_size_bytes: self.descriptor.size,
            compression: unpacked.compression,
            diff_size_bytes: unpacked.size_bytes,
        };
        Ok((staged, info))
    }
}

enum Download {
    /// Every byte was sent and the digest is right.
    Complete,
    /// The unpacking side gave up.
    Abandoned,
}

/// The blocking half: decompresses, hashes and hands the tar stream to the sink.
fn unpack<S: LayerSink>(sink: &S, blob: Receiver, limit: u64) -> Result<(S::Staged, Unpacked), LayerError> {
    let mut unpacker = Unpacker::new(blob, limit).map_err(|error| LayerError::Unpack(Box::new(error)))?;
    let staged = sink.stage(&mut unpacker as &mut dyn Read).map_err(|error| {
        // When the stream itself failed, that is the cause and the sink's complaint the effect.
        unpacker.take_failure().map_or(LayerError::Sink(error), |failure| LayerError::Unpack(Box::new(failure)))
    })?;
    let unpacked = unpacker.finish().map_err(|error| LayerError::Unpack(Box::new(error)))?;
    Ok((staged, unpacked))
}
