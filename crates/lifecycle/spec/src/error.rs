//! Why a request cannot become a specification. All are the request's fault unless the variant says otherwise.

use crio_types::{Classified, ErrorKind};

/// Why a request cannot become a specification.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Neither the request nor the image says what to run.
    #[error("no command specified: neither the request nor the image names one")]
    NoCommand,
    /// A privileged container in a sandbox that is not.
    #[error("no privileged container allowed in a sandbox that is not privileged")]
    PrivilegedInUnprivilegedSandbox,
    /// A variable's name is empty or holds `=` or NUL, or its value holds NUL.
    #[error("environment variable {name:?} has a name or value that no process can carry")]
    Environment {
        /// Its name.
        name: String,
    },
    /// A path that must be absolute is not.
    #[error("{what} {path:?} is not an absolute path")]
    RelativePath {
        /// What the path is.
        what: &'static str,
        /// What was given.
        path: String,
    },
    /// A mount at a place where none can be.
    #[error("a mount at {path:?} would replace the container's root")]
    MountOverRoot {
        /// Where.
        path: String,
    },
    /// A mount option that is not allowed.
    #[error("mount {path:?}: option {option:?} is not one of noexec, nodev, nosuid")]
    MountOption {
        /// Destination.
        path: String,
        /// The option.
        option: String,
    },
    /// Recursive read-only was asked for without what it needs.
    #[error("mount {path:?}: recursive read-only needs a read-only mount with private propagation")]
    RecursiveReadOnly {
        /// Destination.
        path: String,
    },
    /// The runtime does not know recursive read-only mounts. Kubelet looks for the first word.
    #[error("RROUnsupported: mount {path:?}: runtime handler {handler:?} does not support recursive read-only mounts")]
    RroUnsupported {
        /// Destination.
        path: String,
        /// Runtime handler.
        handler: String,
    },
    /// Mounts cannot be id-mapped on this host.
    #[error("mount {path:?}: id-mapped mounts are not possible on this node")]
    IdmapUnsupported {
        /// Destination.
        path: String,
    },
    /// The source of a mount does not propagate as asked.
    #[error("mount {path:?}: its source {source_path:?} is not on a {needed} mount")]
    Propagation {
        /// Destination.
        path: String,
        /// The source.
        source_path: String,
        /// `shared` or `shared or slave`.
        needed: &'static str,
    },
    /// The memory limit is below what the runtime needs.
    #[error("set memory limit {limit_bytes} too low; should be at least {minimum_bytes} bytes")]
    MemoryTooLow {
        /// The limit asked for.
        limit_bytes: i64,
        /// What the runtime needs.
        minimum_bytes: i64,
    },
    /// The limit for memory and swap is below the limit for memory.
    #[error("memory and swap limit {swap_bytes} is below the memory limit {memory_bytes}")]
    SwapBelowMemory {
        /// Memory and swap.
        swap_bytes: i64,
        /// Memory.
        memory_bytes: i64,
    },
    /// A number is out of its range.
    #[error("{what} {value} is out of range")]
    OutOfRange {
        /// What it is.
        what: &'static str,
        /// The value.
        value: i64,
    },
    /// A cgroup v2 file name or value that must not be written.
    #[error("unified cgroup setting {key:?} is not a cgroup file name")]
    Unified {
        /// The key.
        key: String,
    },
    /// A namespace the request needs is not there: the pod is not in the state it should be in.
    #[error("the pod has no {what} namespace to join")]
    MissingNamespace {
        /// Which.
        what: &'static str,
    },
    /// A namespace mode that is not allowed for this namespace.
    #[error("{what} namespace mode {mode} is not supported")]
    NamespaceMode {
        /// Which namespace.
        what: &'static str,
        /// The mode.
        mode: &'static str,
    },
}

impl Classified for SpecError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::PrivilegedInUnprivilegedSandbox => ErrorKind::PermissionDenied,
            Self::MissingNamespace { .. } => ErrorKind::FailedPrecondition,
            // Kubelet strips the code only of Unknown and then matches the prefix.
            Self::RroUnsupported { .. } => ErrorKind::Unknown,
            _ => ErrorKind::InvalidArgument,
        }
    }
}
