//! What can go wrong with a pod's network.

use std::path::PathBuf;

use crio_sys::namespace::NamespaceError;
use crio_types::{Classified, ErrorKind};

use crate::cni::cache::CacheError;
use crate::cni::plugin::PluginError;
use crate::cni::runtime::FactsError;
use crate::host_ports::HostPortError;

/// The network cannot take pods now; the message is for the node's `NetworkReady` condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotReady {
    /// Why.
    pub message: String,
}

impl Classified for NotReady {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unavailable
    }
}

/// The engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration directory could not be made.
    #[error("cannot make the CNI configuration directory {path}")]
    MakeDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// nftables would not take the name.
    #[error("{0:?} cannot be the name of a packet filter table")]
    TableName(String),
}

impl Classified for StartError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::FailedPrecondition
    }
}

/// What stopped an attachment.
#[derive(Debug, thiserror::Error)]
pub enum AttachCause {
    /// No usable network configuration.
    #[error("the node's network is not ready")]
    NotReady {
        /// Why.
        source: NotReady,
    },
    /// The pod cannot be described to plugins.
    #[error("the pod cannot be described to network plugins")]
    Facts {
        /// Why.
        source: FactsError,
    },
    /// The pod's network namespace is not there.
    #[error("the pod has no network namespace")]
    Namespace {
        /// What was attempted.
        source: NamespaceError,
    },
    /// The pod's pin leads to the node's own network.
    #[error("{path} is the node's own network namespace")]
    HostNamespace {
        /// The pin.
        path: PathBuf,
    },
    /// The attachment could not be recorded.
    #[error("the attachment cannot be recorded")]
    Cache {
        /// Why.
        source: CacheError,
    },
    /// A plugin failed.
    #[error("cannot attach the pod to network {network}")]
    Plugin {
        /// The network.
        network: String,
        /// Which plugin and how.
        source: PluginError,
    },
    /// The pod's host ports could not be opened.
    #[error("cannot open the pod's host ports")]
    HostPorts {
        /// Why.
        source: HostPortError,
    },
}

impl Classified for AttachCause {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotReady { source } => source.kind(),
            Self::Facts { .. } => ErrorKind::InvalidArgument,
            Self::Plugin { source, .. } => source.kind(),
            Self::HostPorts { source } => source.kind(),
            Self::Namespace { .. } | Self::HostNamespace { .. } | Self::Cache { .. } => ErrorKind::Internal,
        }
    }
}

/// A pod could not be attached. What plugins had done was undone; if [`Self::leftovers`] names failures of that, a
/// later [`detach`](crate::Networks::detach) finishes it.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the pod's network{}{}", if leftovers.is_empty() { "" } else { " nor undo it: " }, leftovers.join("; "))]
pub struct AttachError {
    #[source]
    cause: Box<AttachCause>,
    leftovers: Vec<String>,
}

impl AttachError {
    pub(super) fn new(cause: AttachCause, leftovers: Vec<String>) -> Self {
        let cause = Box::new(cause);
        Self { cause, leftovers }
    }

    /// What stopped it.
    #[must_use]
    pub fn cause(&self) -> &AttachCause {
        &self.cause
    }

    /// What could not be undone.
    #[must_use]
    pub fn leftovers(&self) -> &[String] {
        &self.leftovers
    }
}

impl Classified for AttachError {
    fn kind(&self) -> ErrorKind {
        self.cause.kind()
    }
}

/// A network could not be left wholly: these steps failed, all others were done. Repeat it later.
#[derive(Debug, thiserror::Error)]
#[error("cannot leave the network: {}", failures.join("; "))]
pub struct DetachError {
    /// Every failure, a line each.
    pub failures: Vec<String>,
}

impl DetachError {
    pub(super) fn check(failures: Vec<String>) -> Result<(), Self> {
        if failures.is_empty() { Ok(()) } else { Err(Self { failures }) }
    }
}

impl Classified for DetachError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

/// An attachment is not what the plugins made it.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The record of attachments could not be read.
    #[error("cannot read the record of attachments")]
    Cache {
        /// Why.
        source: CacheError,
    },
    /// There is no record of the attachment.
    #[error("the pod is not attached to a network")]
    NotAttached,
    /// A plugin found a fault.
    #[error("the pod's network is damaged")]
    Plugin {
        /// Which plugin and what.
        source: PluginError,
    },
}

impl Classified for CheckError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Cache { .. } => ErrorKind::Internal,
            Self::NotAttached => ErrorKind::NotFound,
            Self::Plugin { source } => source.kind(),
        }
    }
}
