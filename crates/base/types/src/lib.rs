//! The vocabulary every layer shares: ids, names, states, requests and error kinds.
//!
//! Nothing here performs I/O or knows a wire format; the one clock read is [`Timestamp::now`]. A value of these types was checked by whoever
//! made it (the front, a record reader), so the layers above trust it without looking again. Types that are part
//! of a durable record derive serde; their field names are therefore a format and change only with a version.
//!
//! Where a CRI field distinguishes *absent* from *empty* the field here is an `Option`.

mod container;
mod error;
mod id;
mod image;
mod label;
mod mount;
mod name;
mod resources;
mod sandbox;
mod security;
mod signal;
mod stats;
mod status;
mod time;

pub use container::{ContainerConfig, ContainerMetadata, EnvVar};
pub use error::{Classified, ErrorKind, chain};
pub use id::{ContainerId, IdError, ImageId, LayerId, SandboxId};
pub use image::{Credentials, ImageSpec};
pub use label::{Labels, selects};
pub use mount::{Device, IdMapping, ImageMount, Mount, Propagation};
pub use name::{container_name, sandbox_name};
pub use resources::{HugepageLimit, Resources};
pub use sandbox::{DnsConfig, PortMapping, Protocol, SandboxConfig, SandboxMetadata};
pub use security::{
    Capabilities, ContainerSecurity, NamespaceMode, NamespaceOptions, SandboxSecurity, SecurityProfile, SelinuxOptions,
    SupplementalGroupsPolicy, UserNamespace,
};
pub use signal::Signal;
pub use stats::{
    ContainerStats, CpuStats, FilesystemUsage, InterfaceStats, IoStats, MemoryStats, NetworkStats, Pressure,
    PressureWindow, SandboxStats, SwapStats,
};
pub use status::{ContainerState, ContainerStatus, ContainerUser, EventKind, ExitReason, SandboxState, SandboxStatus};
pub use time::Timestamp;
