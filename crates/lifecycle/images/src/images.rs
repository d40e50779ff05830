//! The images service itself.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use crio_image::{Client, PolicyError, Puller, Reference};
use crio_storage::{Store, Usage};
use crio_types::{ImageId, ImageSpec};

use crate::details::config_key;
use crate::pinned::Pinned;
use crate::pull::{Key, Operations, Transfer, check_policy};
use crate::remove::{Holds, remove};
use crate::sink::StoreSink;
use crate::snapshot::{By, Snapshot};
use crate::usage::Inodes;
use crate::{
    Config, Image, ImageFilesystems, ImageHold, ListError, PullError, PullRequest, PullStatus, RemoveError,
    ResolveError, ResolvedImage,
};

/// Images on this node. Clones share everything.
#[derive(Debug, Clone)]
pub struct Images(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: ArcSwap<Settings>,
    store: Store,
    puller: Puller<StoreSink>,
    operations: Operations,
    snapshot: ArcSwapOption<Snapshot>,
    /// Held by the blocking thread that makes a snapshot, so that one is made at a time.
    making_snapshot: Mutex<()>,
    /// Held by the blocking thread that removes, so that each removal sees what the one before left.
    removing: Mutex<()>,
    holds: Holds,
    inodes: Inodes,
}

#[derive(Debug)]
struct Settings {
    config: Arc<Config>,
    pinned: Arc<Pinned>,
}

impl Settings {
    fn new(config: Config) -> Self {
        Self { pinned: Arc::new(Pinned::new(&config)), config: Arc::new(config) }
    }
}

impl Images {
    /// Images of `store`, pulled through `client`.
    #[must_use]
    pub fn new(config: Config, store: Store, client: Client) -> Self {
        Self(Arc::new(Shared {
            settings: ArcSwap::from_pointee(Settings::new(config)),
            puller: Puller::new(client, StoreSink::new(store.clone())),
            store,
            operations: Operations::new(),
            snapshot: ArcSwapOption::empty(),
            making_snapshot: Mutex::new(()),
            removing: Mutex::new(()),
            holds: Holds::default(),
            inodes: Inodes::default(),
        }))
    }

    /// Puts a reloaded configuration in force. Pulls that are going on keep what they began with.
    pub fn reload(&self, config: Config) {
        self.0.settings.store(Arc::new(Settings::new(config)));
    }

    /// The registry client, for reloading registries.conf.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.0.puller.client()
    }

    /// Pulls an image and returns its id. A pull of the same image with the same credentials that is going on is
    /// joined. Dropping the future gives up this caller's interest; when the last caller is gone the transfer is
    /// cancelled and leaves nothing.
    ///
    /// # Errors
    /// See [`PullError`]; messages start with `RegistryUnavailable` or `SignatureValidationFailed` where kubelet
    /// looks for it.
    pub async fn pull(&self, request: PullRequest) -> Result<ImageId, PullError> {
        let shared = &self.0;
        let key = Key::new(&request);
        let start = |progress| {
            let transfer = Transfer {
                puller: shared.puller.clone(),
                config: Arc::clone(&shared.settings.load().config),
                request,
                progress,
            };
            transfer.run()
        };
        shared.operations.join(key, start).await
    }

    /// The pulls that are going on, the oldest first.
    #[must_use]
    pub fn pulls(&self) -> Vec<PullStatus> {
        self.0.operations.list()
    }

    /// All images, or the one that `filter` names.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, filter: Option<&str>) -> Result<Vec<Arc<Image>>, ListError> {
        match filter.filter(|text| !text.is_empty()) {
            Some(text) => Ok(self.status(text).await?.into_iter().collect()),
            None => Ok(self.snapshot().await?.images()),
        }
    }

    /// The image that `reference` names: a tag, a digest, a short name, an id, a unique prefix of an id.
    /// `None` when there is none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn status(&self, reference: &str) -> Result<Option<Arc<Image>>, ListError> {
        let snapshot = self.snapshot().await?;
        let found = snapshot.find(reference, &self.client().registries());
        Ok(found.map(|found| Arc::clone(&found.entry.image)))
    }

    /// The configuration document of an image, as its author wrote it; `None` when the image is gone.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn config_json(&self, id: &ImageId) -> Result<Option<Vec<u8>>, ListError> {
        let (shared, id) = (Arc::clone(&self.0), id.clone());
        blocking(move || {
            let store = &shared.store;
            let Some(record) = store.image(&id)? else {
                return Ok(None);
            };
            store.image_big_data(&id, &config_key(&record))
        })
        .await
    }

    /// Removes an image. Asked by id it loses all its names and goes; asked by a name it loses that name, and goes
    /// with the last one. An unknown image is a success.
    ///
    /// # Errors
    /// A container or mount uses it, or the store cannot be changed.
    pub async fn remove(&self, reference: &str) -> Result<(), RemoveError> {
        let (shared, text) = (Arc::clone(&self.0), reference.to_owned());
        let removed = tokio::task::spawn_blocking(move || {
            let _one_at_a_time = shared.removing.lock().unwrap_or_else(PoisonError::into_inner);
            let snapshot = shared.take_snapshot().map_err(RemoveError::List)?;
            let registries = shared.puller.client().registries();
            remove(&shared.store, &shared.holds, &snapshot, &registries, &text)
        });
        removed.await.unwrap_or(Err(RemoveError::List(ListError::Lost)))
    }

    /// What CreateContainer needs to know of the image that `spec` names.
    ///
    /// # Errors
    /// The image is not here, or its configuration cannot be used.
    pub async fn prepare(&self, spec: &ImageSpec) -> Result<ResolvedImage, ResolveError> {
        let snapshot = self.snapshot().await.map_err(ResolveError::List)?;
        let found = snapshot
            .find(&spec.image, &self.client().registries())
            .ok_or_else(|| ResolveError::Absent { image: spec.image.clone() })?;
        let image = &found.entry.image;
        let config = found
            .entry
            .details
            .config
            .clone()
            .ok_or_else(|| ResolveError::Configuration { image: image.id.clone() })?;
        Ok(ResolvedImage {
            id: image.id.clone(),
            name: match &found.by {
                By::Name(name) => name.to_string(),
                By::Id => image.name().to_owned(),
            },
            image_ref: image.image_ref().to_owned(),
            config,
            top_layer: image.top_layer.clone(),
            size_bytes: image.size_bytes,
            annotations: image.annotations.clone(),
        })
    }

    /// Whether the signature policy for pods of `namespace` allows to run the image that goes by `name`. A name that
    /// is no reference, as an id, is under no policy. Reads the policy file.
    ///
    /// # Errors
    /// It does not, or the policy cannot be read.
    pub fn check_policy(&self, namespace: &str, name: &str) -> Result<(), PolicyError> {
        let config = Arc::clone(&self.0.settings.load().config);
        match Reference::parse(name) {
            Ok(reference) => check_policy(&config, namespace, &reference),
            Err(_) => Ok(()),
        }
    }

    /// Keeps an image from being removed until the hold is dropped. `holder` is named in the error of whoever tries.
    #[must_use]
    pub fn hold(&self, id: &ImageId, holder: &str) -> ImageHold {
        self.0.holds.add(id, holder)
    }

    /// As [`Images::hold`]; `None` when the image is gone. Blocking: waits for a removal that is going on, so that what
    /// is held is whole.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn hold_present(&self, id: &ImageId, holder: &str) -> Result<Option<ImageHold>, ListError> {
        let _no_removal = self.0.removing.lock().unwrap_or_else(PoisonError::into_inner);
        let present = self.0.store.image(id).map_err(|error| ListError::Store(Arc::new(error)))?;
        Ok(present.map(|_| self.hold(id, holder)))
    }

    /// What images and containers occupy. Nothing is measured: [`Images::count_inodes`] does that beforehand.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn filesystem_usage(&self) -> Result<ImageFilesystems, ListError> {
        let snapshot = self.snapshot().await?;
        let inodes = self.0.inodes.of(&snapshot.layers);
        Ok(ImageFilesystems::new(&self.0.store.config().root, Usage { inodes, ..snapshot.usage }))
    }

    /// Counts the inodes of layers as they become known, for ever. The daemon owns the task that runs this, and drops it to
    /// end it.
    pub async fn count_inodes(&self) {
        loop {
            let (shared, layer) = (Arc::clone(&self.0), self.0.inodes.next().await);
            let counted = blocking(move || {
                shared.inodes.count(&shared.store, layer);
                Ok(())
            });
            if counted.await.is_err() {
                // The executor is shutting down and takes no more work.
                return;
            }
        }
    }

    /// Cancels every pull and waits until each has ended and cleaned up.
    pub async fn shut_down(&self) {
        self.0.operations.shut_down().await;
    }

    async fn snapshot(&self) -> Result<Arc<Snapshot>, ListError> {
        let shared = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || shared.take_snapshot()).await.unwrap_or(Err(ListError::Lost))
    }
}

impl Shared {
    fn take_snapshot(&self) -> Result<Arc<Snapshot>, ListError> {
        let _one_at_a_time = self.making_snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = self.snapshot.load_full();
        let pinned = Arc::clone(&self.settings.load().pinned);
        let taken = Snapshot::take(&self.store, &pinned, previous.as_ref())
            .map_err(|error| ListError::Store(Arc::new(error)))?;
        self.snapshot.store(Some(Arc::clone(&taken)));
        Ok(taken)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, crio_storage::StoreError> + Send + 'static,
) -> Result<T, ListError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| ListError::Store(Arc::new(error))),
        Err(_) => Err(ListError::Lost),
    }
}
