//! What a container is asked to be.

use serde::{Deserialize, Serialize};

use crate::{ContainerSecurity, Device, ImageSpec, Labels, Mount, Resources, Signal};

/// Which container of the pod, and which attempt at it (CRI `ContainerMetadata`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContainerMetadata {
    /// Name, unique in the pod.
    pub name: String,
    /// How many containers of this name the pod had before.
    pub attempt: u32,
}

/// One environment variable. CRI carries the value as bytes, and it need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVar {
    /// Name.
    pub key: String,
    /// Value.
    pub value: Vec<u8>,
}

/// What a container is asked to be (CRI `ContainerConfig`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContainerConfig {
    /// Which container.
    pub metadata: ContainerMetadata,
    /// The image to run.
    pub image: ImageSpec,
    /// Replaces the image's entrypoint when not empty.
    pub command: Vec<String>,
    /// Replaces the image's command when not empty, or when `command` is set.
    pub args: Vec<String>,
    /// Working directory; empty for the image's.
    pub working_dir: String,
    /// Environment on top of the image's.
    pub envs: Vec<EnvVar>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Devices.
    pub devices: Vec<Device>,
    /// Qualified CDI device names.
    pub cdi_devices: Vec<String>,
    /// Labels.
    pub labels: Labels,
    /// Annotations, kept and echoed byte for byte.
    pub annotations: Labels,
    /// Log file, relative to the sandbox's log directory; empty for `<container id>.log`.
    pub log_path: String,
    /// Keep a standard input open.
    pub stdin: bool,
    /// Close the standard input after the first attach ends.
    pub stdin_once: bool,
    /// Give it a terminal.
    pub tty: bool,
    /// Limits; `None` when the request had no Linux part.
    pub resources: Option<Resources>,
    /// Security settings.
    pub security: ContainerSecurity,
    /// Signal that asks it to stop; `None` for the image's or SIGTERM.
    pub stop_signal: Option<Signal>,
}
