//! What sandboxes and containers are, as the readers see them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    ContainerId, ContainerMetadata, ImageId, ImageSpec, Labels, Mount, NamespaceOptions, Resources, SandboxId,
    SandboxMetadata, Signal, Timestamp,
};

/// State of a sandbox (CRI `PodSandboxState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SandboxState {
    /// Containers may be created in it.
    Ready,
    /// Stopped, or broken.
    NotReady,
}

/// State of a container (CRI `ContainerState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContainerState {
    /// Made, not started.
    Created,
    /// Its process runs.
    Running,
    /// Its process ended.
    Exited,
    /// We truly do not know.
    Unknown,
}

/// Why a container is in its state. Kubelet and its users know these words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitReason {
    /// Exit code 0.
    Completed,
    /// Any other exit code.
    Error,
    /// The kernel killed something in its memory cgroup.
    OomKilled,
    /// It could not be started.
    StartFailed,
}

impl ExitReason {
    /// The word CRI clients expect.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::Error => "Error",
            Self::OomKilled => "OOMKilled",
            Self::StartFailed => "StartError",
        }
    }
}

/// The identity a container's first process started with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContainerUser {
    /// Uid.
    pub uid: u32,
    /// Gid.
    pub gid: u32,
    /// All groups, the primary one included.
    pub groups: Vec<u32>,
}

/// A sandbox as lists and status answers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxStatus {
    /// Id.
    pub id: SandboxId,
    /// Which pod.
    pub metadata: SandboxMetadata,
    /// State.
    pub state: SandboxState,
    /// When it was created.
    pub created_at: Timestamp,
    /// Addresses, the first one the primary; empty for host-network pods.
    pub ips: Vec<IpAddr>,
    /// Namespaces, as requested.
    pub namespaces: NamespaceOptions,
    /// Labels.
    pub labels: Labels,
    /// Annotations.
    pub annotations: Labels,
    /// Runtime handler, as requested.
    pub runtime_handler: String,
}

/// A container as lists and status answers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStatus {
    /// Id.
    pub id: ContainerId,
    /// The sandbox it belongs to.
    pub sandbox_id: SandboxId,
    /// Which container.
    pub metadata: ContainerMetadata,
    /// State.
    pub state: ContainerState,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was started, or [`Timestamp::NEVER`].
    pub started_at: Timestamp,
    /// When it ended, or [`Timestamp::NEVER`].
    pub finished_at: Timestamp,
    /// Exit code: the process's own, 128 + n after signal n, 255 when it is lost; 0 while not exited.
    pub exit_code: i32,
    /// Why it ended; `None` before.
    pub reason: Option<ExitReason>,
    /// What there is to say about it, for people.
    pub message: String,
    /// The image as the request named it, or a name of it.
    pub image: ImageSpec,
    /// The image's repository digest, or its id when it has none.
    pub image_ref: String,
    /// The image's id.
    pub image_id: ImageId,
    /// Labels.
    pub labels: Labels,
    /// Annotations.
    pub annotations: Labels,
    /// Exactly the mounts of the request, host paths resolved.
    pub mounts: Vec<Mount>,
    /// Absolute path of the log.
    pub log_path: String,
    /// Limits in force.
    pub resources: Resources,
    /// Who runs in it.
    pub user: Option<ContainerUser>,
    /// The signal that asks it to stop.
    pub stop_signal: Signal,
}

/// What happened to a container or sandbox (CRI `ContainerEventType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Created.
    Created,
    /// Started.
    Started,
    /// Stopped.
    Stopped,
    /// Deleted.
    Deleted,
}
