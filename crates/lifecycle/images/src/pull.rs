//! Pulling: one transfer for all who ask for the same image with the same credentials.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crio_image::{AuthFiles, Policy, PolicyError, Progress, Puller, Reference, Request};
use crio_types::{Classified, Credentials, ErrorKind, ImageId, ImageSpec, Timestamp};

use crate::Config;
use crate::error::PullError;
use crate::namespaced::ClaimedAuth;
use crate::sink::StoreSink;

mod operations;

pub(crate) use operations::{Key, Operations};

/// How often a pull is begun again because the store changed under it.
const MAX_RESTARTS: u32 = 3;

/// One request to pull.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PullRequest {
    /// The image.
    pub spec: ImageSpec,
    /// What the caller presents to the registry; `None` for the node's own authentication files.
    pub credentials: Option<Credentials>,
    /// Namespace of the pod it is for; empty when there is none. Selects the signature policy and the namespaced
    /// authentication file.
    pub namespace: String,
    /// An authentication file to use in place of the configured ones (the pause image has its own).
    pub auth_file: Option<PathBuf>,
}

impl PullRequest {
    /// A request for the image `spec` names, with the node's own credentials.
    #[must_use]
    pub fn new(spec: &ImageSpec) -> Self {
        Self { spec: spec.clone(), ..Self::default() }
    }
}

/// A pull that is going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullStatus {
    /// The image, as requested.
    pub image: String,
    /// When it began.
    pub started_at: Timestamp,
    /// How many callers wait for it.
    pub waiters: usize,
    /// Its layers, bottom first; empty until the manifest is known.
    pub layers: Vec<LayerStatus>,
}

/// How far one layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerStatus {
    /// Digest of the blob as the registry stores it.
    pub digest: String,
    /// Compressed bytes that arrived.
    pub done_bytes: u64,
    /// Compressed bytes in all.
    pub total_bytes: u64,
}

/// One transfer: everything it needs, so that it can run as a task of its own.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) puller: Puller<StoreSink>,
    pub(crate) config: Arc<Config>,
    pub(crate) request: PullRequest,
    pub(crate) progress: Progress,
}

impl Transfer {
    /// Pulls the image, trying the names a short name may stand for in turn.
    pub(crate) async fn run(self) -> Result<ImageId, PullError> {
        let name = &self.request.spec.image;
        let candidates = self
            .puller
            .client()
            .registries()
            .candidates(name)
            .map_err(|source| PullError::Name { name: name.clone(), source: Arc::new(source) })?;
        let claimed = ClaimedAuth::claim(&self.config, &self.request)
            .map_err(|source| PullError::NamespacedAuth { name: name.clone(), source: Arc::new(source) })?;
        let auth_file = claimed.as_ref().map(ClaimedAuth::path).or(self.request.auth_file.as_deref());
        let auth_files = auth_file.map(|path| AuthFiles::new(Some(path)));
        let mut failures = Vec::new();
        for reference in candidates {
            match self.pull_one(reference, auth_files.clone()).await {
                Ok(id) => return Ok(id),
                Err(error) => failures.push(error),
            }
        }
        Err(most_telling(failures))
    }

    async fn pull_one(&self, reference: Reference, auth_files: Option<AuthFiles>) -> Result<ImageId, PullError> {
        check_policy(&self.config, &self.request.namespace, &reference)
            .map_err(|error| PullError::Policy(Arc::new(error)))?;
        let request = Request { reference, credentials: self.request.credentials.clone(), auth_files };
        let mut restarts = 0;
        loop {
            let pulled = self.watched(Box::pin(self.puller.pull(&request, &self.progress))).await?;
            match pulled {
                Ok(image) => return Ok(ImageId::from_bytes(image.config_digest.bytes())),
                Err(error) if error.may_retry() && restarts < MAX_RESTARTS => restarts += 1,
                Err(error) => return Err(PullError::Transfer(Arc::new(error))),
            }
        }
    }

    /// Runs the pull, and ends it when bytes are missing and none have come for the configured time.
    async fn watched<T>(&self, pull: impl Future<Output = T>) -> Result<T, PullError> {
        let Some(limit) = self.config.pull_progress_timeout.filter(|limit| *limit > Duration::ZERO) else {
            return Ok(pull.await);
        };
        tokio::pin!(pull);
        let mut seen = self.progress.activity();
        loop {
            if let Ok(pulled) = tokio::time::timeout(limit, &mut pull).await {
                return Ok(pulled);
            }
            let now = self.progress.activity();
            if now == seen && self.is_downloading() {
                return Err(PullError::NoProgress { name: self.request.spec.image.clone(), after: limit });
            }
            seen = now;
        }
    }

    /// Whether bytes are still to come. Unpacking the last of them and syncing may take long on a slow disk, and is
    /// not the registry's doing.
    fn is_downloading(&self) -> bool {
        let layers = self.progress.layers();
        layers.is_empty() || layers.iter().any(|layer| layer.done_bytes() < layer.total_bytes)
    }
}

/// Whether the signature policy of `namespace`, or the general one, lets `reference` through.
pub(crate) fn check_policy(config: &Config, namespace: &str, reference: &Reference) -> Result<(), PolicyError> {
    let namespaced = crate::namespaced::policy_file(config, namespace);
    // The files are small and local, and read anew so that an administrator's change counts at once.
    match namespaced.as_deref().or(config.policy.as_deref()) {
        Some(path) => Policy::load(path)?.check(reference),
        None => Ok(()),
    }
}

/// Of the failures of several candidates, the one to report: a registry that does not have the name says the least.
fn most_telling(mut failures: Vec<PullError>) -> PullError {
    let position = failures.iter().position(|error| error.kind() != ErrorKind::NotFound);
    let last = failures.len() - 1;
    failures.swap_remove(position.unwrap_or(last))
}
