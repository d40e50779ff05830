//! What the collector is told about a sandbox or container: facts that do not change while it exists.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crio_cgroups::CgroupPath;
use crio_types::{ContainerId, ContainerMetadata, Labels, NetworkStats, SandboxId, SandboxMetadata};

/// The counters of a pod's interfaces.
pub trait NetworkCounters: fmt::Debug + Send + Sync {
    /// Reads them; `None` when the namespace is gone. Called on the blocking pool, and should take well under a millisecond.
    fn read(&self) -> Option<NetworkStats>;

    /// Gives back what keeps the namespace alive, for good: later readings answer nothing.
    fn close(&self);
}

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
#[derive(Debug, Clone)]
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
    /// Its interfaces; `None` for host-network pods.
    pub network: Option<Arc<dyn NetworkCounters>>,
}
