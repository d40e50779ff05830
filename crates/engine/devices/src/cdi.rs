//! Container Device Interface: what `vendor.com/class=device` stands for.
//!
//! Vendors put specifications into a few directories of the node; a container names devices, and gets the variables,
//! nodes, mounts, hooks and groups that their specifications list. The directories are read whenever a container names
//! a device, so a specification counts from the moment it is there. One that cannot be read is passed over and reported,
//! unless the container needs it: then the container is refused.
//!
//! Follows the Container Device Interface specification, versions 0.3.0 to 1.1.0. Not supported, and refused where a
//! requested device has it: `netDevices`, FIFOs as device nodes, monitoring switches of `intelRdt`.

mod document;
mod edits;
mod name;
mod registry;

use std::path::PathBuf;

use crio_types::{Classified, ErrorKind};

use crate::DeviceError;

pub use document::{Document, DocumentError};
pub use edits::{Edits, HookPoint, Owner};
pub use name::{NameError, QualifiedName, annotated};
pub use registry::{MAX_SPECIFICATION_BYTES, Skipped, resolve};

/// Why the devices a container names cannot be given to it.
#[derive(Debug, thiserror::Error)]
pub enum CdiError {
    /// A name is not a qualified device name.
    #[error("CDI device {name:?}")]
    Name {
        /// As requested.
        name: String,
        /// What is wrong.
        source: NameError,
    },
    /// No specification has the device.
    #[error("unresolvable CDI device {name}: no specification in {} has it{unread}", list(directories))]
    Unresolved {
        /// The device.
        name: QualifiedName,
        /// Where specifications were looked for.
        directories: Vec<PathBuf>,
        /// Which of them could not be read, as text that ends the sentence; often empty.
        unread: String,
    },
    /// Two specifications of one directory have the device.
    #[error("CDI device {name} is both in {} and in {}", first.display(), second.display())]
    Conflict {
        /// The device.
        name: QualifiedName,
        /// A specification.
        first: PathBuf,
        /// Another one.
        second: PathBuf,
    },
    /// A device node of the device is not on this node.
    #[error("CDI device {name}")]
    Node {
        /// The device.
        name: QualifiedName,
        /// Why not.
        source: DeviceError,
    },
    /// The device wants something that cannot be given.
    #[error("CDI device {name}: {what} is not supported")]
    Unsupported {
        /// The device.
        name: QualifiedName,
        /// What it wants.
        what: &'static str,
    },
    /// More devices, or more of what they bring, than any container can need.
    #[error("more than {limit} CDI devices")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl Classified for CdiError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Name { .. } => ErrorKind::InvalidArgument,
            Self::Unresolved { .. } | Self::Conflict { .. } => ErrorKind::FailedPrecondition,
            Self::Node { source, .. } => source.kind(),
            Self::Unsupported { .. } => ErrorKind::Unimplemented,
            Self::TooMany { .. } => ErrorKind::ResourceExhausted,
        }
    }
}

fn list(directories: &[PathBuf]) -> String {
    directories.iter().map(|directory| directory.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
