//! What can go wrong with a pod's namespaces.

use std::io;
use std::path::PathBuf;

use crio_sys::namespace::NamespaceError;
use crio_types::{Classified, ErrorKind};

use super::SysctlError;

/// Namespaces could not be made and pinned. Nothing of them is left.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// A sysctl is not allowed.
    #[error("the pod's sysctls are refused")]
    Sysctl {
        /// Which and why.
        source: SysctlError,
    },
    /// A sysctl of a namespace that is not made here.
    #[error("sysctl {name} would change the node, whose namespace the pod uses")]
    HostSysctl {
        /// The sysctl.
        name: String,
    },
    /// The host name is too long or not plain text.
    #[error("{hostname:?} cannot be a host name")]
    Hostname {
        /// As requested.
        hostname: String,
    },
    /// The directory of the pins could not be made.
    #[error("cannot make the directory {path}")]
    MakeDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused to make or pin a namespace.
    #[error("cannot set up the pod's namespaces")]
    Namespace {
        /// What was attempted.
        source: NamespaceError,
    },
    /// The loopback link stayed down.
    #[error("cannot raise the loopback link of the pod")]
    RaiseLoopback {
        /// Why.
        source: io::Error,
    },
    /// The kernel refused a sysctl.
    #[error("cannot set sysctl {name} to {value:?}")]
    SetSysctl {
        /// The sysctl.
        name: String,
        /// The value.
        value: String,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused the host name.
    #[error("cannot set the host name {hostname:?}")]
    SetHostname {
        /// The name.
        hostname: String,
        /// Why.
        source: io::Error,
    },
}

impl Classified for PinError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Sysctl { .. } | Self::HostSysctl { .. } | Self::Hostname { .. } => ErrorKind::InvalidArgument,
            // The kernel answers a bad value, an unknown name and a read-only parameter this way.
            Self::SetSysctl { source, .. }
                if matches!(
                    source.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
                ) =>
            {
                ErrorKind::InvalidArgument
            }
            _ => ErrorKind::Internal,
        }
    }
}

/// Pins could not be removed; all others were.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove {} of the pod's namespaces", failures.len())]
pub struct UnpinError {
    /// The first failure.
    #[source]
    first: NamespaceError,
    /// Every failure as text, the first included.
    failures: Vec<String>,
}

impl UnpinError {
    pub(super) fn new(first: NamespaceError, others: impl Iterator<Item = NamespaceError>) -> Self {
        let mut failures = vec![crio_types::chain(&first)];
        failures.extend(others.map(|error| crio_types::chain(&error)));
        Self { first, failures }
    }

    /// Every failure.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }
}

impl Classified for UnpinError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}
