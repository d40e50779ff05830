//! Why the store refused or failed.

use std::io;
use std::path::PathBuf;

use crio_sys::mount::OverlayError;
use crio_types::{Classified, ContainerId, ErrorKind, ImageId, LayerId};

use crate::tar::TarError;
pub use crate::tar_split::AssembleError;

/// A store operation that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such layer.
    #[error("layer {0} is not in the store")]
    LayerUnknown(LayerId),
    /// No such image.
    #[error("image {0} is not in the store")]
    ImageUnknown(ImageId),
    /// No such container.
    #[error("container {0} is not in the store")]
    ContainerUnknown(ContainerId),
    /// A container of this id exists.
    #[error("container {0} exists already")]
    ContainerExists(ContainerId),
    /// Another container has the name.
    #[error("the name {name:?} belongs to container {holder}")]
    NameInUse {
        /// The name.
        name: String,
        /// Who has it.
        holder: ContainerId,
    },
    /// Containers use the image.
    #[error("image {image} is in use by {} container(s), one of them {}", .containers.len(), .containers[0])]
    ImageInUse {
        /// The image.
        image: ImageId,
        /// Who uses it; never empty.
        containers: Vec<ContainerId>,
    },
    /// A digest is not `sha256:` and 64 hexadecimal digits.
    #[error("{0:?} is not a sha256 digest")]
    BadDigest(String),
    /// The layer keeps no record of its archive.
    #[error("layer {0} cannot be exported: its archive was not recorded")]
    NotExportable(LayerId),
    /// A table of the store.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file or directory of the store.
    #[error("{action} {}", path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The changes of a container's root.
    #[error("exporting the changes in {}", path.display())]
    Changes {
        /// Its layer's files.
        path: PathBuf,
        /// Why it failed; [`io::ErrorKind::TimedOut`] when nobody waits for them any more.
        source: io::Error,
    },
    /// An overlay mount.
    #[error("mounting {what} at {}", target.display())]
    Mount {
        /// A layer or an image.
        what: String,
        /// Where.
        target: PathBuf,
        /// Why it failed.
        source: OverlayError,
    },
    /// A layer that could not be written as an archive again.
    #[error("exporting layer {layer}")]
    Export {
        /// The layer.
        layer: LayerId,
        /// Why.
        source: AssembleError,
    },
    /// Several steps of a removal failed; the others were done.
    #[error("{} steps failed, the first: {}", .0.len(), crio_types::chain(&.0[0]))]
    Several(Vec<StoreError>),
}

impl StoreError {
    /// A failure on a path.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::File { action, path: path.into(), source: source.into() }
    }

    /// One error of the failures of a removal, or none.
    pub(crate) fn gather(mut failures: Vec<Self>) -> Result<(), Self> {
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Self::Several(failures)),
        }
    }
}

impl Classified for StoreError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::LayerUnknown(_) | Self::ImageUnknown(_) | Self::ContainerUnknown(_) => ErrorKind::NotFound,
            Self::ContainerExists(_) | Self::NameInUse { .. } => ErrorKind::AlreadyExists,
            Self::ImageInUse { .. } | Self::NotExportable(_) => ErrorKind::FailedPrecondition,
            Self::BadDigest(_) => ErrorKind::InvalidArgument,
            Self::Table(error) => error.kind(),
            Self::Changes { source, .. } if source.kind() == io::ErrorKind::TimedOut => ErrorKind::DeadlineExceeded,
            Self::File { source, .. } | Self::Changes { source, .. } => kind_of(source),
            Self::Mount { .. } | Self::Export { .. } => ErrorKind::Internal,
            Self::Several(failures) => failures[0].kind(),
        }
    }
}

/// A table of the store that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The lock could not be taken; [`io::ErrorKind::TimedOut`] when another program kept it too long.
    #[error("locking {}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("parsing {}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The file cannot be written; its old contents stand.
    #[error("writing {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Classified for TableError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Lock { source, .. } | Self::Read { source, .. } | Self::Write { source, .. } => kind_of(source),
            Self::Parse { .. } => ErrorKind::Internal,
        }
    }
}

/// A tar stream that did not become a layer.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The stream failed or ended early.
    #[error("reading the layer archive at byte {position}")]
    Read {
        /// How far it was read.
        position: u64,
        /// Why.
        source: io::Error,
    },
    /// The stream is not a tar archive.
    #[error("the layer archive is malformed at byte {position}: {what}")]
    Malformed {
        /// Where, as far as it is known.
        position: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The archive asks for more than allowed.
    #[error("the layer archive has more than {limit} {what}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// An entry would replace the root itself.
    #[error("the layer archive replaces its root by something that is not a directory")]
    RootReplaced,
    /// An entry cannot be made.
    #[error("{action} {path:?} of the layer")]
    Entry {
        /// What was attempted.
        action: &'static str,
        /// The entry's path as written.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The record of the archive cannot be written.
    #[error("writing tar-split")]
    TarSplit(#[source] io::Error),
    /// The staging directory cannot be used.
    #[error("preparing the staging directory")]
    Staging(#[source] io::Error),
}

impl From<TarError> for ApplyError {
    fn from(error: TarError) -> Self {
        match error {
            TarError::Read { position, source } => Self::Read { position, source },
            TarError::Malformed { position, what } => Self::Malformed { position, what },
            TarError::Limit { what, limit } => Self::Limit { what, limit },
            TarError::Record(source) => Self::TarSplit(source),
        }
    }
}

impl Classified for ApplyError {
    fn kind(&self) -> ErrorKind {
        match self {
            // An archive that ends in the middle of an entry was read to its end.
            Self::Read { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => ErrorKind::InvalidArgument,
            Self::Read { .. } => ErrorKind::Unavailable,
            Self::Malformed { .. } | Self::RootReplaced => ErrorKind::InvalidArgument,
            Self::Limit { .. } => ErrorKind::ResourceExhausted,
            Self::Entry { source, .. } | Self::TarSplit(source) | Self::Staging(source) => kind_of(source),
        }
    }
}

fn kind_of(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::ResourceExhausted,
        io::ErrorKind::TimedOut => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}
