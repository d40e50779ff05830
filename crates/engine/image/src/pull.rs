//! The pull pipeline: from a reference to committed layers.
//!
//! ```text
//! registry ── chunks ──> sha256 of the blob ── bounded channel ──> decompress ── sha256 of the diff ──> LayerSink::stage
//!  (async task per layer)                                           (blocking thread per layer)
//! ```
//!
//! Layers are staged side by side in one streaming pass each, and committed from the bottom only when every one of
//! them has the right digest, size and diff id. From then on the pull cannot be cancelled: committing and recording
//! happen in one blocking step. Before it, dropping the future (or any failure) drops what was staged, so nothing is
//! left behind and nothing was ever visible.
//!
//! Two pulls that need the same layer at the same time share its staging ([`slot`]).

use std::sync::Arc;

use crio_types::Credentials;
use tokio::sync::Semaphore;

use crate::auth::AuthFiles;
use crate::client::Client;
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::reference::Reference;

mod attempt;
mod channel;
mod error;
mod layer;
mod progress;
mod sink;
mod slot;
mod unpack;

pub use error::{AttemptError, LayerError, PullError};
pub use progress::{LayerProgress, Progress};
pub use sink::{ChainPosition, Compression, LayerInfo, LayerSink, SinkError};
pub use unpack::UnpackLimits;

use slot::Slots;

/// Layers of all pulls together that are in transfer at once, as a multiple of what one pull may have.
const PULLS_AT_FULL_SPEED: usize = 4;

/// One image to pull.
#[derive(Debug, Clone)]
pub struct Request {
    /// The image, in full.
    pub reference: Reference,
    /// What to present to the reference's own registry; `None` looks into `auth_files`.
    pub credentials: Option<Credentials>,
    /// Authentication files in place of the client's.
    pub auth_files: Option<AuthFiles>,
}

/// An image whose layers are in the sink.
#[derive(Debug, Clone)]
pub struct PulledImage {
    /// The reference it was asked for by, under its own name, not a mirror's.
    pub reference: Reference,
    /// The manifest, parsed.
    pub manifest: Manifest,
    /// The manifest's bytes.
    pub manifest_bytes: Vec<u8>,
    /// The digest of those bytes.
    pub manifest_digest: Digest,
    /// Digest and bytes of the index the manifest was chosen from, if there was one.
    pub index: Option<(Digest, Vec<u8>)>,
    /// Digest of the image configuration.
    pub config_digest: Digest,
    /// Its bytes.
    pub config_bytes: Vec<u8>,
    /// Where each layer lies in the chain, bottom first.
    pub layers: Vec<ChainPosition>,
}

/// Pulls images into one sink. Clones share everything.
#[derive(Debug)]
pub struct Puller<S: LayerSink> {
    client: Client,
    sink: Arc<S>,
    slots: Arc<Slots<S::Staged>>,
    permits: Arc<Semaphore>,
}

impl<S: LayerSink> Clone for Puller<S> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            sink: Arc::clone(&self.sink),
            slots: Arc::clone(&self.slots),
            permits: Arc::clone(&self.permits),
        }
    }
}

impl<S: LayerSink> Puller<S> {
    /// A puller that fetches with `client` and stores in `sink`.
    #[must_use]
    pub fn new(client: Client, sink: S) -> Self {
        let permits = client.config().parallel_layers * PULLS_AT_FULL_SPEED;
        Self {
            client,
            sink: Arc::new(sink),
            slots: Arc::new(Slots::default()),
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    /// The client it fetches with.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The sink it stores in.
    #[must_use]
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// Pulls one image: asks its mirrors and its registry in turn, until one has it whole. When this returns `Ok`,
    /// the sink has recorded it.
    ///
    /// # Errors
    /// See [`PullError`]; it tells the failure at the image's own registry, and mentions those at mirrors.
    pub async fn pull(&self, request: &Request, progress: &Progress) -> Result<PulledImage, PullError> {
        let registries = self.client.registries();
        let reference = request.reference.pinned_down();
        let endpoints = registries.endpoints(&reference).map_err(PullError::Source)?;
        let mut earlier = Vec::new();
        for (position, endpoint) in endpoints.iter().enumerate() {
            let attempt =
                attempt::Attempt { puller: self, request, reference: &reference, endpoint, registries: &registries };
            // The future holds a whole pull; on the heap it does not weigh on whoever awaits it.
            match Box::pin(attempt.run(progress)).await {
                Ok(image) => return Ok(image),
                Err(error) if error.ends_the_pull() || position + 1 == endpoints.len() => {
                    return Err(PullError::failed(&reference, endpoint, &earlier, error));
                }
                Err(error) => earlier.push(format!("{}: {}", endpoint.reference, crio_types::chain(&error))),
            }
        }
        unreachable!("a reference has at least the endpoint of its own registry")
    }
}

#[cfg(test)]
mod tests;
