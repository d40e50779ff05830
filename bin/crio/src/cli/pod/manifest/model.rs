//! What a manifest says, as far as we can run it.
//!
//! Plain data: every value was checked by the reader that made it.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A pod to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Host name; the pod's name when absent.
    pub hostname: Option<String>,
    /// Runtime handler; empty for the default.
    pub runtime_class: String,
    /// Whether the pod uses the host's network, process ids, IPC.
    pub host: HostNamespaces,
    /// Whether the containers see each other's processes.
    pub share_processes: bool,
    /// Resolver settings of the pod's own.
    pub dns: Option<Dns>,
    /// Settings all containers share.
    pub security: PodSecurity,
    /// Containers that run to completion, in order, before the others.
    pub init_containers: Vec<Container>,
    /// Containers.
    pub containers: Vec<Container>,
    /// Volumes by name.
    pub volumes: BTreeMap<String, Volume>,
}

/// Namespaces of the host that a pod uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostNamespaces {
    /// Network.
    pub network: bool,
    /// Process ids.
    pub pid: bool,
    /// IPC.
    pub ipc: bool,
}

/// Resolver settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dns {
    /// Name servers.
    pub servers: Vec<String>,
    /// Search domains.
    pub searches: Vec<String>,
    /// Options as resolv.conf writes them.
    pub options: Vec<String>,
}

/// Settings all containers of a pod share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodSecurity {
    /// Settings that a container may override.
    pub defaults: Identity,
    /// Further groups.
    pub supplemental_groups: Vec<i64>,
    /// Sysctls.
    pub sysctls: BTreeMap<String, String>,
}

/// Who runs, and how confined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Uid.
    pub user: Option<i64>,
    /// Gid.
    pub group: Option<i64>,
    /// Refuse to run as root.
    pub non_root: Option<bool>,
    /// Seccomp profile.
    pub seccomp: Option<Seccomp>,
}

/// A seccomp profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seccomp {
    /// The runtime's.
    RuntimeDefault,
    /// None.
    Unconfined,
    /// A file, absolute or below kubelet's directory of profiles.
    Localhost(String),
}

/// A container to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Name.
    pub name: String,
    /// Image.
    pub image: String,
    /// When the image is pulled.
    pub pull: PullPolicy,
    /// Replaces the image's entrypoint.
    pub command: Vec<String>,
    /// Replaces the image's command.
    pub args: Vec<String>,
    /// Working directory; empty for the image's.
    pub working_dir: String,
    /// Environment, in order.
    pub env: Vec<(String, String)>,
    /// Ports that are mapped from the host.
    pub host_ports: Vec<HostPort>,
    /// Limits.
    pub resources: Resources,
    /// Who runs, and how confined.
    pub security: ContainerSecurity,
    /// Mounts.
    pub mounts: Vec<VolumeMount>,
    /// Keep a standard input.
    pub stdin: bool,
    /// Give it a terminal.
    pub tty: bool,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Each time.
    Always,
    /// When it is missing.
    IfNotPresent,
    /// Not at all.
    Never,
}

/// A port mapped from the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Protocol,
    /// Port of the pod.
    pub container_port: u16,
    /// Port of the host.
    pub host_port: u16,
    /// Address of the host; empty for all.
    pub host_ip: String,
}

/// Transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// Limits and requests; `None` where the manifest says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// CPU limit in thousandths of a core.
    pub cpu_limit_milli: Option<i64>,
    /// CPU request in thousandths of a core.
    pub cpu_request_milli: Option<i64>,
    /// Memory limit in bytes.
    pub memory_limit_bytes: Option<i64>,
    /// Memory request in bytes.
    pub memory_request_bytes: Option<i64>,
}

/// Security settings of one container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerSecurity {
    /// Who runs, and how confined, where it differs from the pod.
    pub identity: Identity,
    /// Everything allowed.
    pub privileged: bool,
    /// Read-only root.
    pub read_only_root: bool,
    /// Whether a program may gain more than its parent; absent means yes.
    pub allow_escalation: Option<bool>,
    /// Capabilities to add.
    pub add_capabilities: Vec<String>,
    /// Capabilities to drop.
    pub drop_capabilities: Vec<String>,
}

/// A volume mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeMount {
    /// Name of the volume.
    pub volume: String,
    /// Where it appears.
    pub path: String,
    /// A path below an image volume's root; empty for the root.
    pub sub_path: String,
    /// Read-only.
    pub read_only: bool,
    /// How mount events travel.
    pub propagation: Propagation,
}

/// How mount events travel between host and container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Neither way.
    None,
    /// From the host.
    HostToContainer,
    /// Both ways.
    Bidirectional,
}

/// Where a volume's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Volume {
    /// A directory that lives as long as the pod.
    EmptyDir,
    /// A path of the host.
    HostPath {
        /// The path.
        path: PathBuf,
        /// What has to be there.
        kind: HostPathKind,
    },
    /// An image.
    Image {
        /// Its name.
        reference: String,
        /// When it is pulled.
        pull: PullPolicy,
    },
}

/// What has to be at a host path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPathKind {
    /// It is not looked at.
    Any,
    /// A directory.
    Directory,
    /// A directory, made when there is nothing.
    DirectoryOrCreate,
    /// A regular file.
    File,
    /// A regular file, made when there is nothing.
    FileOrCreate,
    /// A unix socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}
