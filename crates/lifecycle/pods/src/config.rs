//! What the pods layer is told by the configuration, as plain data.

use std::path::PathBuf;

use crio_devices::HostDevice;
use crio_spec::Defaults;
use crio_types::{Labels, UserNamespace};

/// Settings of [`crate::Pods`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of records and monitor sockets, on tmpfs (`container_attach_socket_dir`).
    pub state_dir: PathBuf,
    /// Directory of logs when the request names none (`log_dir`).
    pub log_dir: PathBuf,
    /// Directory of pinned namespaces (`namespaces_dir`).
    pub namespaces_dir: PathBuf,
    /// The storage's root: bind mounts above it must not keep its mounts busy.
    pub storage_root: PathBuf,
    /// The image of pause containers (`pause_image`).
    pub pause_image: String,
    /// What they run; empty for the image's own command (`pause_command`).
    pub pause_command: Vec<String>,
    /// Pods get a pause container only when their containers share a PID namespace (`drop_infra_ctr`).
    pub drop_infra: bool,
    /// CPUs of pause containers (`infra_ctr_cpuset`).
    pub infra_cpuset: String,
    /// Sysctls every pod gets (`default_sysctls`); the request wins.
    pub default_sysctls: Labels,
    /// The user namespace of pods that ask for none and use nothing of the host's (`uid_mappings`, `gid_mappings`).
    pub default_user: Option<UserNamespace>,
    /// The lowest uid and gid of the host that a pod may have (`minimum_mappable_uid`, `minimum_mappable_gid`).
    pub minimum_ids: (u32, u32),
    /// Devices every container gets (`additional_devices`).
    pub additional_devices: Vec<HostDevice>,
    /// Devices that a pod's annotation may name (`allowed_devices`).
    pub allowed_devices: Vec<PathBuf>,
    /// Requested devices belong to the user the container runs as (`device_ownership_from_security_context`).
    pub device_ownership_from_security_context: bool,
    /// Host paths that must exist instead of being made (`absent_mount_sources_to_reject`).
    pub absent_mount_sources_to_reject: Vec<PathBuf>,
    /// What becomes of the volumes an image declares (`image_volumes`).
    pub image_volumes: ImageVolumes,
    /// Start a log over when it would grow past this many bytes (`log_size_max`).
    pub log_size_max_bytes: Option<u64>,
    /// What may be done about checkpoints.
    pub checkpoints: Checkpoints,
    /// Environment, ulimits and more that every container gets.
    pub defaults: Defaults,
}

/// What may be done about checkpoints (`enable_criu_support`, `container_level_enabled`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checkpoints {
    /// Nothing.
    Off,
    /// They are written.
    Written,
    /// They are written and restored.
    Restored,
}

/// What becomes of the volumes an image declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageVolumes {
    /// The directory is made in the container's own layer.
    Mkdir,
    /// An anonymous directory is mounted there.
    Bind,
    /// Nothing.
    Ignore,
}
