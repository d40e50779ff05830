//! Why a device cannot be given to a container.

use std::path::PathBuf;

use crio_types::{Classified, ErrorKind};

/// Why a device cannot be given to a container.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The permissions are not a subset of `rwm`.
    #[error("device permissions {text:?} are not a subset of \"rwm\"")]
    Permissions {
        /// What was given.
        text: String,
    },
    /// A path is empty or not absolute.
    #[error("device path {path:?} is not absolute")]
    RelativePath {
        /// What was given.
        path: String,
    },
    /// A configured device string has the wrong shape.
    #[error("device {text:?} is not of the form host[:container[:permissions]]")]
    Syntax {
        /// What was given.
        text: String,
    },
    /// The configuration does not allow the device.
    #[error("device {path:?} is not in the list of allowed devices")]
    NotAllowed {
        /// The host path.
        path: String,
    },
    /// A privileged container, which has all devices of the host, would get another one in the place of one of them.
    #[error("device path {path:?} of a privileged container already exists on the host")]
    Occupied {
        /// The path in the container.
        path: String,
    },
    /// The host path does not exist.
    #[error("device {path:?} does not exist on this node")]
    Missing {
        /// The host path.
        path: PathBuf,
    },
    /// The host path is neither a device nor a directory with devices.
    #[error("{path:?} is neither a device nor a directory that holds devices")]
    NotADevice {
        /// The host path.
        path: PathBuf,
    },
    /// The host path could not be looked at.
    #[error("cannot inspect device {path:?}")]
    Inspect {
        /// The host path.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// A directory holds too many devices or is too deep.
    #[error("{path:?} holds more than {limit} devices, or is nested too deeply")]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// The limit that was reached.
        limit: usize,
    },
}

impl Classified for DeviceError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotAllowed { .. } => ErrorKind::PermissionDenied,
            Self::Occupied { .. }
            | Self::Permissions { .. }
            | Self::RelativePath { .. }
            | Self::Syntax { .. }
            | Self::NotADevice { .. } => ErrorKind::InvalidArgument,
            // Not `NotFound`: kubelet reads that as "the container is gone".
            Self::Missing { .. } => ErrorKind::InvalidArgument,
            Self::Inspect { .. } => ErrorKind::Internal,
            Self::TooMany { .. } => ErrorKind::ResourceExhausted,
        }
    }
}
