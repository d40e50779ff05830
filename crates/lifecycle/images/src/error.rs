//! What can go wrong with images, per operation.

use std::sync::Arc;
use std::time::Duration;

use crio_image::{PolicyError, ShortNameError};
use crio_storage::StoreError;
use crio_types::{Classified, ErrorKind, ImageId};

/// A pull that did not succeed. Cloneable, because every caller that joined the pull gets it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PullError {
    /// The request names no image, or names it in a way that leads to no registry.
    #[error("image name {name:?} cannot be pulled")]
    Name {
        /// The name as requested.
        name: String,
        /// Why.
        source: Arc<ShortNameError>,
    },
    /// The signature policy does not let it through.
    #[error(transparent)]
    Policy(Arc<PolicyError>),
    /// The registry, the network, the image's contents or the store.
    #[error(transparent)]
    Transfer(Arc<crio_image::PullError>),
    /// Nothing arrived for as long as the configuration allows.
    #[error("RegistryUnavailable: pulling {name} made no progress for {} s", after.as_secs())]
    NoProgress {
        /// The name as requested.
        name: String,
        /// How long.
        after: Duration,
    },
    /// The namespaced authentication file could not be claimed for this pull.
    #[error("claiming the authentication file for {name}")]
    NamespacedAuth {
        /// The name as requested.
        name: String,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// The daemon is going down.
    #[error("pulling {name} was cancelled")]
    Cancelled {
        /// The name as requested.
        name: String,
    },
    /// The task that pulled it panicked.
    #[error("pulling {name} ended without a result")]
    Lost {
        /// The name as requested.
        name: String,
    },
}

impl Classified for PullError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Name { .. } => ErrorKind::InvalidArgument,
            Self::Transfer(error) => error.kind(),
            // Kubelet recognises these by the message, under this code only.
            Self::Policy(_) | Self::NoProgress { .. } => ErrorKind::Unknown,
            Self::Cancelled { .. } => ErrorKind::Cancelled,
            Self::NamespacedAuth { .. } | Self::Lost { .. } => ErrorKind::Internal,
        }
    }
}

/// The store could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ListError {
    /// Reading the image records failed.
    #[error("reading the image store")]
    Store(#[source] Arc<StoreError>),
    /// The thread that read them panicked.
    #[error("reading the image store ended without a result")]
    Lost,
}

impl Classified for ListError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Lost => ErrorKind::Internal,
        }
    }
}

/// An image that was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Something runs from it, or has it mounted.
    #[error("image {image} is in use by {user}")]
    InUse {
        /// The image, as requested.
        image: String,
        /// The container or mount that needs it.
        user: String,
    },
    /// The records could not be read.
    #[error(transparent)]
    List(ListError),
    /// The records or files could not be removed.
    #[error("removing image {image}")]
    Store {
        /// The image.
        image: ImageId,
        /// Why.
        source: StoreError,
    },
}

impl Classified for RemoveError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::InUse { .. } => ErrorKind::FailedPrecondition,
            Self::List(error) => error.kind(),
            Self::Store { source, .. } => source.kind(),
        }
    }
}

/// An image that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No local image answers to the name. Deliberately not `NotFound`: kubelet reads that code as *no container*.
    #[error("image {image} is not on this node: pull it first")]
    Absent {
        /// The image, as requested.
        image: String,
    },
    /// The image is there, but its configuration is missing or malformed.
    #[error("the configuration of image {image} cannot be used")]
    Configuration {
        /// The image.
        image: ImageId,
    },
    /// The records could not be read.
    #[error(transparent)]
    List(ListError),
}

impl Classified for ResolveError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Absent { .. } | Self::Configuration { .. } => ErrorKind::FailedPrecondition,
            Self::List(error) => error.kind(),
        }
    }
}
