//! Why a pull failed, arranged so that the outermost line says what kubelet and people look for.

use crio_types::{Classified, ErrorKind};

use super::sink::SinkError;
use crate::auth::AuthError;
use crate::configuration::ConfigurationError;
use crate::digest::Digest;
use crate::manifest::ManifestError;
use crate::reference::Reference;
use crate::registries::{Endpoint, SourceError};
use crate::registry::RegistryError;

/// A layer that was not staged.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The registry did not deliver it.
    #[error("downloading the layer")]
    Registry(#[source] RegistryError),
    /// What it delivered is something else.
    #[error("the layer's digest is {actual} instead of {expected}")]
    Digest {
        /// By the manifest.
        expected: Digest,
        /// Of what came.
        actual: Digest,
    },
    /// It unpacks to something else than the image configuration says.
    #[error("the layer's uncompressed digest is {actual} instead of {expected}")]
    DiffId {
        /// By the image configuration.
        expected: Digest,
        /// Of what came.
        actual: Digest,
    },
    /// It cannot be decompressed, or only to something too large.
    #[error("unpacking the layer")]
    Unpack(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The sink failed.
    #[error(transparent)]
    Sink(SinkError),
    /// The sink stopped reading before the blob's end.
    #[error("the layer was not read to its end")]
    Incomplete,
    /// The unpacking thread panicked.
    #[error("the thread that unpacks the layer")]
    Thread(#[source] tokio::task::JoinError),
}

/// A pull from one endpoint that failed.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// Credentials for the registry could not be looked up.
    #[error("looking up credentials")]
    Auth(#[source] AuthError),
    /// The manifest did not come.
    #[error("fetching the manifest")]
    FetchManifest(#[source] RegistryError),
    /// The image configuration did not come.
    #[error("fetching the image configuration")]
    FetchConfiguration(#[source] RegistryError),
    /// What came is something else than was asked for by digest.
    #[error("the {what} has digest {actual} instead of {expected}")]
    Digest {
        /// Manifest or configuration.
        what: &'static str,
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// What came has another size than its descriptor says.
    #[error("the {what} has {actual} bytes instead of {expected}")]
    Size {
        /// Manifest or configuration.
        what: &'static str,
        /// By the descriptor.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// The manifest is not acceptable.
    #[error(transparent)]
    Manifest(ManifestError),
    /// The image configuration is not acceptable.
    #[error(transparent)]
    Configuration(ConfigurationError),
    /// A layer failed.
    #[error("layer {digest}")]
    Layer {
        /// Its blob.
        digest: Digest,
        /// Why.
        source: LayerError,
    },
    /// The sink failed outside of a layer.
    #[error(transparent)]
    Sink(SinkError),
    /// A task of ours panicked.
    #[error("a task of the pull")]
    Task(#[source] tokio::task::JoinError),
}

impl AttemptError {
    /// Whether another endpoint would not help: the failure is on this side.
    pub(super) fn ends_the_pull(&self) -> bool {
        matches!(
            self,
            Self::Sink(_) | Self::Task(_) | Self::Layer { source: LayerError::Sink(_) | LayerError::Thread(_), .. }
        )
    }

    fn registry(&self) -> Option<&RegistryError> {
        match self {
            Self::FetchManifest(error) | Self::FetchConfiguration(error) => Some(error),
            Self::Layer { source: LayerError::Registry(error), .. } => Some(error),
            _ => None,
        }
    }

    fn sink(&self) -> Option<&SinkError> {
        match self {
            Self::Sink(error) | Self::Layer { source: LayerError::Sink(error), .. } => Some(error),
            _ => None,
        }
    }
}

impl Classified for AttemptError {
    fn kind(&self) -> ErrorKind {
        if let Some(error) = self.sink() {
            return error.kind();
        }
        match self {
            // A blob that is missing below a manifest that is there is a broken repository, not an unknown image.
            Self::FetchManifest(error) => error.kind(),
            Self::FetchConfiguration(RegistryError::NotFound { .. })
            | Self::Layer { source: LayerError::Registry(RegistryError::NotFound { .. }), .. } => ErrorKind::Unknown,
            Self::FetchConfiguration(error) | Self::Layer { source: LayerError::Registry(error), .. } => error.kind(),
            Self::Manifest(ManifestError::NoPlatform { .. }) => ErrorKind::NotFound,
            Self::Task(_) => ErrorKind::Internal,
            _ => ErrorKind::Unknown,
        }
    }
}

/// A pull that failed everywhere.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// registries.conf says that it may not or cannot be fetched.
    #[error("the image may not be pulled")]
    Source(#[source] SourceError),
    /// The last endpoint failed, and all before it.
    #[error("{summary}")]
    Failed {
        /// What failed, beginning with the words kubelet looks for.
        summary: String,
        /// Why, at the last endpoint.
        source: Box<AttemptError>,
    },
}

impl PullError {
    pub(super) fn failed(reference: &Reference, endpoint: &Endpoint, earlier: &[String], error: AttemptError) -> Self {
        let origin =
            if endpoint.reference == *reference { String::new() } else { format!(" as {}", endpoint.reference) };
        let mirrors = if earlier.is_empty() {
            String::new()
        } else {
            format!(" (mirrors failed before: {})", earlier.join("; "))
        };
        let summary = if error.registry().is_some_and(RegistryError::is_unavailable) {
            format!("RegistryUnavailable: pulling {reference}{origin}{mirrors}")
        } else if matches!(&error, AttemptError::FetchManifest(RegistryError::NotFound { .. })) {
            format!("manifest unknown: {reference}{origin}{mirrors}")
        } else {
            format!("pulling {reference}{origin}{mirrors}")
        };
        Self::Failed { summary, source: Box::new(error) }
    }

    /// Whether the same pull may succeed when it is begun again at once: the store changed under it.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Source(_) => false,
            Self::Failed { source, .. } => source.sink().is_some_and(|error| error.retry),
        }
    }
}

impl Classified for PullError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Source(SourceError::Blocked { .. }) => ErrorKind::PermissionDenied,
            Self::Source(SourceError::Rewrite { .. }) => ErrorKind::InvalidArgument,
            Self::Failed { source, .. } => source.kind(),
        }
    }
}
