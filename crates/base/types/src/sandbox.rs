//! What a pod sandbox is asked to be.

use serde::{Deserialize, Serialize};

use crate::{Labels, Resources, SandboxSecurity};

/// Which pod, and which attempt at it (CRI `PodSandboxMetadata`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SandboxMetadata {
    /// Pod name.
    pub name: String,
    /// Pod uid.
    pub uid: String,
    /// Pod namespace.
    pub namespace: String,
    /// How many sandboxes this pod had before.
    pub attempt: u32,
}

/// Resolver configuration (CRI `DNSConfig`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DnsConfig {
    /// Name servers.
    pub servers: Vec<String>,
    /// Search domains.
    pub searches: Vec<String>,
    /// Options.
    pub options: Vec<String>,
}

/// Transport protocol of a port mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A host port that leads to a port of the pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Port inside the pod.
    pub container_port: u16,
    /// Port on the host; zero maps nothing.
    pub host_port: u16,
    /// Host address it is bound to; `None` for all.
    pub host_ip: Option<std::net::IpAddr>,
}

/// What a pod sandbox is asked to be (CRI `PodSandboxConfig`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SandboxConfig {
    /// Which pod.
    pub metadata: SandboxMetadata,
    /// Host name; empty for the host's (host network) or one made of the id.
    pub hostname: String,
    /// Directory of the containers' logs on the host; empty for `log_dir/<sandbox id>`.
    pub log_directory: String,
    /// Resolver configuration; `None` for a copy of the host's `/etc/resolv.conf`.
    pub dns: Option<DnsConfig>,
    /// Host ports.
    pub port_mappings: Vec<PortMapping>,
    /// Labels.
    pub labels: Labels,
    /// Annotations, kept and echoed byte for byte.
    pub annotations: Labels,
    /// Parent cgroup of the pod; empty for the driver's default.
    pub cgroup_parent: String,
    /// Security settings.
    pub security: SandboxSecurity,
    /// Sysctls of the pod's namespaces.
    pub sysctls: Labels,
    /// What the runtime itself costs this pod.
    pub overhead: Option<Resources>,
    /// Sum of the containers' limits.
    pub resources: Option<Resources>,
}
