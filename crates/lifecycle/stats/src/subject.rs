//! What the collector is told about a sandbox or container: facts that do not change while it exists.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crio_cgroups::CgroupPath;
use crio_types::{ContainerId, ContainerMetadata, Labels, NetworkStats, SandboxId, SandboxMetadata};

/// Reads the counters of a pod's interfaces; `None` when the namespace is gone. Called on the blocking pool, and should take well
/// under a millisecond.
pub type ReadNetwork = Arc<dyn Fn() -> Option<NetworkStats> + Send + Sync>;

/// A container.
#[derive(Debug, Clone)]
pub struct ContainerSubject {
    /// Which.
    pub id: ContainerId,
    /// The sandbox it belongs to.
    pub sandbox_id: SandboxId,
    /// Its metadata.
    pub metadata: ContainerMetadata,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// Its group; it need not exist yet.
    pub cgroup: CgroupPath,
    /// Its writable layer, if it has one.
    pub writable_layer: Option<WritableLayer>,
}

/// Where a container's own files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WritableLayer {
    /// The directory that holds what the container wrote (overlay's `diff`).
    pub directory: PathBuf,
    /// A directory by which the client finds the file system, as answers show it: the image store's or the container store's.
    pub mountpoint: String,
}

/// A pod sandbox.
#[derive(Clone)]
pub struct SandboxSubject {
    /// Which.
    pub id: SandboxId,
    /// Its metadata.
    pub metadata: SandboxMetadata,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// The group of the whole pod. Without one the sandbox's own group and the containers' are added up.
    pub pod_cgroup: Option<CgroupPath>,
    /// The sandbox's own group.
    pub sandbox_cgroup: CgroupPath,
    /// Reads its interfaces; `None` for host-network pods.
    pub network: Option<ReadNetwork>,
}

impl fmt::Debug for SandboxSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxSubject")
            .field("id", &self.id)
            .field("metadata", &self.metadata)
            .field("pod_cgroup", &self.pod_cgroup)
            .field("sandbox_cgroup", &self.sandbox_cgroup)
            .field("has_network", &self.network.is_some())
            .finish_non_exhaustive()
    }
}
