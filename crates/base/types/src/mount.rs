//! Mounts and devices a container asks for.

use serde::{Deserialize, Serialize};

use crate::ImageSpec;

/// How mount events travel between the host and the container (CRI `MountPropagation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Propagation {
    /// Neither way.
    #[default]
    Private,
    /// Mounts the host makes later appear in the container.
    HostToContainer,
    /// Both ways.
    Bidirectional,
}

/// One run of an id mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapping {
    /// First id on the host.
    pub host_id: u32,
    /// First id inside.
    pub container_id: u32,
    /// How many ids.
    pub length: u32,
}

/// An image mounted as a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageMount {
    /// The image.
    pub image: ImageSpec,
    /// A path inside the image to mount instead of its root; empty for the root.
    pub sub_path: String,
    /// In a status: the image's repository digest, or its id when it has none. A request leaves it empty.
    #[serde(default)]
    pub image_ref: String,
}

/// A mount a container asks for (CRI `Mount`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mount {
    /// Where it appears in the container.
    pub container_path: String,
    /// What is mounted; empty when `image` is set.
    pub host_path: String,
    /// Read-only.
    pub readonly: bool,
    /// Give the source the container's SELinux label.
    pub selinux_relabel: bool,
    /// Propagation of mount events.
    pub propagation: Propagation,
    /// Uid mappings of an id-mapped mount.
    pub uid_mappings: Vec<IdMapping>,
    /// Gid mappings of an id-mapped mount.
    pub gid_mappings: Vec<IdMapping>,
    /// Read-only including every mount below the source.
    pub recursive_read_only: bool,
    /// The image to mount instead of a host path.
    pub image: Option<ImageMount>,
    /// Further options, of `noexec`, `nodev`, `nosuid`.
    pub options: Vec<String>,
}

/// A host device a container asks for (CRI `Device`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Device {
    /// Path of the node, or of a directory of nodes, inside the container.
    pub container_path: String,
    /// Path on the host.
    pub host_path: String,
    /// A subset of `rwm`.
    pub permissions: String,
}
