//! One pull from one endpoint.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::error::{AttemptError, LayerError};
use super::layer::Layer;
use super::progress::{LayerProgress, Progress};
use super::sink::{ChainPosition, LayerSink, SinkError};
use super::slot::{Committed, Slot};
use super::{PulledImage, Puller, Request};
use crate::auth::AuthFiles;
use crate::configuration::diff_ids;
use crate::digest::Digest;
use crate::manifest::{self, Descriptor, Document, MAX_DOCUMENT_BYTES, ManifestError};
use crate::reference::Reference;
use crate::registries::{Endpoint, Registries};
use crate::registry::session::{Fetched, Session};

/// A slot for each layer that was missing when the pull began, and `None` for those that were there.
type Staging<T> = Vec<Option<Arc<Slot<T>>>>;

pub(super) struct Attempt<'a, S: LayerSink> {
    pub(super) puller: &'a Puller<S>,
    pub(super) request: &'a Request,
    pub(super) reference: &'a Reference,
    pub(super) endpoint: &'a Endpoint,
    pub(super) registries: &'a Registries,
}

impl<S: LayerSink> Attempt<'_, S> {
    pub(super) async fn run(&self, progress: &Progress) -> Result<PulledImage, AttemptError> {
        let session = Arc::new(self.session().await?);
        let image = self.fetch_documents(&session).await?;
        let counters: Vec<_> =
            image.manifest.layers.iter().map(|layer| Arc::new(LayerProgress::new(layer.digest, layer.size))).collect();
        progress.set(counters.clone());
        let staging = self.stage_missing(&session, &image, &counters, progress).await?;
        let sink = Arc::clone(&self.puller.sink);
        tokio::task::spawn_blocking(move || commit(sink.as_ref(), image, &staging))
            .await
            .map_err(AttemptError::Task)?
            .map_err(AttemptError::Sink)
    }

    async fn session(&self) -> Result<Session, AttemptError> {
        let client = &self.puller.client;
        // What the caller brought is for the image's own registry; a mirror gets what this node has for the mirror.
        let credentials = match &self.request.credentials {
            Some(given) if !self.endpoint.is_mirror => Some(given.clone()),
            _ => {
                let files: &AuthFiles = self.request.auth_files.as_ref().unwrap_or(&client.config().auth_files);
                files.find(self.registries, &self.endpoint.reference).await.map_err(AttemptError::Auth)?
            }
        };
        Ok(Session::new(client.transport(), self.endpoint, credentials))
    }

    async fn fetch_documents(&self, session: &Session) -> Result<PulledImage, AttemptError> {
        let physical = &self.endpoint.reference;
        let fetched = fetch_manifest(session, physical).await?;
        let (manifest, manifest_bytes, index) = match parse(&fetched)? {
            Document::Manifest(manifest) => (*manifest, fetched.bytes, None),
            Document::Index(index) => {
                let platform = &self.puller.client.config().platform;
                let chosen = manifest::choose(&index, platform).map_err(AttemptError::Manifest)?;
                let entry = fetch_manifest(session, &physical.at_digest(chosen.digest)).await?;
                check_size("manifest", chosen.size, &entry.bytes)?;
                let Document::Manifest(manifest) = parse(&entry)? else {
                    let nested = "it is an index within an index".to_owned();
                    return Err(AttemptError::Manifest(ManifestError::Unsupported(nested)));
                };
                (*manifest, entry.bytes, Some((Digest::of(&fetched.bytes), fetched.bytes)))
            }
        };
        let config_bytes = fetch_configuration(session, &manifest.config).await?;
        let diffs = diff_ids(&config_bytes, manifest.layers.len()).map_err(AttemptError::Configuration)?;
        Ok(PulledImage {
            reference: self.reference.clone(),
            manifest_digest: Digest::of(&manifest_bytes),
            manifest_bytes,
            index,
            config_digest: manifest.config.digest,
            config_bytes,
            layers: ChainPosition::chain(&diffs),
            manifest,
        })
    }

    async fn stage_missing(
        &self,
        session: &Arc<Session>,
        image: &PulledImage,
        counters: &[Arc<LayerProgress>],
        progress: &Progress,
    ) -> Result<Staging<S::Staged>, AttemptError> {
        let existing = existing(&self.puller.sink, image.layers.clone()).await.map_err(AttemptError::Sink)?;
        let own_permits = Arc::new(Semaphore::new(self.puller.client.config().parallel_layers));
        let mut staging: Staging<S::Staged> = vec![];
        // Dropping the set aborts its tasks, so a cancelled pull stops downloading at once.
        let mut tasks = JoinSet::new();
        for (index, position) in image.layers.iter().enumerate() {
            if existing[index] {
                counters[index].finish();
                staging.push(None);
                continue;
            }
            let slot = self.puller.slots.get(position.chain_id());
            staging.push(Some(Arc::clone(&slot)));
            let task = StageTask {
                puller: self.puller.clone(),
                session: Arc::clone(session),
                descriptor: image.manifest.layers[index].clone(),
                position: position.clone(),
                counters: Arc::clone(&counters[index]),
                progress: progress.clone(),
                own_permits: Arc::clone(&own_permits),
                slot,
            };
            tasks.spawn(task.run());
        }
        while let Some(finished) = tasks.join_next().await {
            finished.map_err(AttemptError::Task)??;
        }
        Ok(staging)
    }
}

/// The staging of one layer, as a task of its own.
struct StageTask<S: LayerSink> {
    puller: Puller<S>,
    session: Arc<Session>,
    descriptor: Descriptor,
    position: ChainPosition,
    counters: Arc<LayerProgress>,
    progress: Progress,
    own_permits: Arc<Semaphore>,
    slot: Arc<Slot<S::Staged>>,
}

impl<S: LayerSink> StageTask<S> {
    async fn run(self) -> Result<(), AttemptError> {
        self.slot
            .fill(Box::pin(self.stage()))
            .await
            .map_err(|source| AttemptError::Layer { digest: self.descriptor.digest, source })?;
        self.counters.finish();
        self.progress.advance();
        Ok(())
    }

    async fn stage(&self) -> Result<(S::Staged, super::LayerInfo), LayerError> {
        // The pull's own permit comes first, so that waiting for it holds up nobody else. Neither semaphore is closed.
        let _own = self.own_permits.acquire().await;
        let _shared = self.puller.permits.acquire().await;
        self.counters.restart();
        let layer = Layer {
            session: &self.session,
            sink: &self.puller.sink,
            descriptor: &self.descriptor,
            position: &self.position,
            limit_bytes: self.puller.client.config().unpack_limits.most(self.descriptor.size),
            counters: &self.counters,
            progress: &self.progress,
        };
        layer.stage().await
    }
}

async fn existing<S: LayerSink>(sink: &Arc<S>, chain: Vec<ChainPosition>) -> Result<Vec<bool>, SinkError> {
    let sink = Arc::clone(sink);
    let failed = |source: tokio::task::JoinError| SinkError {
        what: "looking for the layers that are here already",
        kind: crio_types::ErrorKind::Internal,
        retry: false,
        source: Box::new(source),
    };
    tokio::task::spawn_blocking(move || sink.existing(&chain)).await.map_err(failed)?
}

/// Commits all layers from the bottom and records the image. Not cancellable; on failure takes back what it did.
fn commit<S: LayerSink>(sink: &S, image: PulledImage, staging: &Staging<S::Staged>) -> Result<PulledImage, SinkError> {
    let mut committed = Vec::new();
    let mut commit_all = || {
        for (position, slot) in image.layers.iter().zip(staging) {
            let Some(slot) = slot else { continue };
            let outcome = slot.commit(|staged, info| sink.commit(position, staged, &info))?;
            if outcome == Committed::Here {
                committed.push(position.clone());
            }
        }
        sink.record(&image)
    };
    match commit_all() {
        Ok(()) => Ok(image),
        Err(error) => {
            sink.roll_back(&committed);
            Err(error)
        }
    }
}

async fn fetch_manifest(session: &Session, reference: &Reference) -> Result<Fetched, AttemptError> {
    let fetched =
        session.manifest(reference, manifest::ACCEPT, MAX_DOCUMENT_BYTES).await.map_err(AttemptError::FetchManifest)?;
    if let Some(expected) = reference.digest() {
        check_digest("manifest", expected, &fetched.bytes)?;
    }
    Ok(fetched)
}

async fn fetch_configuration(session: &Session, descriptor: &Descriptor) -> Result<Vec<u8>, AttemptError> {
    let fetched =
        session.small_blob(&descriptor.digest, MAX_DOCUMENT_BYTES).await.map_err(AttemptError::FetchConfiguration)?;
    check_digest("image configuration", &descriptor.digest, &fetched.bytes)?;
    check_size("image configuration", descriptor.size, &fetched.bytes)?;
    Ok(fetched.bytes)
}

fn parse(fetched: &Fetched) -> Result<Document, AttemptError> {
    Document::parse(&fetched.bytes, fetched.content_type.as_deref()).map_err(AttemptError::Manifest)
}

fn check_digest(what: &'static str, expected: &Digest, bytes: &[u8]) -> Result<(), AttemptError> {
    let actual = Digest::of(bytes);
    if actual == *expected {
        return Ok(());
    }
    Err(AttemptError::Digest { what, expected: *expected, actual })
}

fn check_size(what: &'static str, expected: u64, bytes: &[u8]) -> Result<(), AttemptError> {
    let actual = bytes.len() as u64;
    if actual == expected {
        return Ok(());
    }
    Err(AttemptError::Size { what, expected, actual })
}
