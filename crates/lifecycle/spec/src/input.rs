//! Everything a specification is made of, as plain data.
//!
//! The caller has looked at the request, the image, the host and the configuration; whatever needs a file, a clock
//! or a namespace is a value here. Borrowed where the caller keeps it, owned where it was made for this call.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crio_devices::{Edits, HostDevice};
use crio_security::{Confinement, ResolvedUser};
use crio_types::{ContainerConfig, ContainerId, Labels, Mount, SandboxConfig, SandboxId, Timestamp};
use oci_spec::image::ImageConfiguration;
use oci_spec::runtime::PosixRlimit;

/// What [`crate::generate()`] makes a container's specification of.
#[derive(Debug, Clone)]
pub struct SpecInput<'a> {
    /// The container and its request.
    pub container: ContainerFacts<'a>,
    /// The sandbox it belongs to.
    pub sandbox: SandboxFacts<'a>,
    /// Its image.
    pub image: ImageFacts<'a>,
    /// Who runs in it.
    pub user: &'a ResolvedUser,
    /// What confines it.
    pub confinement: &'a Confinement,
    /// The mounts of the request, then the image's volumes, sources resolved.
    pub mounts: &'a [ResolvedMount],
    /// All devices it gets besides the runtime's own (null, zero, …); for privileged containers the host's as well.
    pub devices: &'a [HostDevice],
    /// What devices bring besides their nodes, which are in `devices`.
    pub edits: &'a Edits,
    /// What the host and the runtime can do.
    pub host: &'a HostFacts,
    /// What the configuration adds.
    pub defaults: &'a Defaults,
}

/// The container and its request.
#[derive(Debug, Clone)]
pub struct ContainerFacts<'a> {
    /// Id.
    pub id: &'a ContainerId,
    /// Unique name (`crio_types::container_name`).
    pub name: &'a str,
    /// The request.
    pub config: &'a ContainerConfig,
    /// The mounted root file system on the host.
    pub rootfs: &'a Path,
    /// The OCI `cgroupsPath`, in the form of the cgroup driver.
    pub cgroups_path: &'a str,
    /// Whether `cgroups_path` is for the systemd driver.
    pub cgroup_driver: CgroupDriver,
    /// Absolute path of the log.
    pub log_path: &'a str,
    /// When it is created.
    pub created: Timestamp,
    /// Host path of a replacement `/etc/passwd`, when the caller wrote `user.passwd` to a file.
    pub passwd_path: Option<&'a Path>,
    /// Host path of a replacement `/etc/group`, likewise.
    pub group_path: Option<&'a Path>,
    /// umask of the first process, from the annotation; `None` for the runtime's.
    pub umask: Option<u32>,
}

/// Which program manages cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupDriver {
    /// We write to the file system.
    Cgroupfs,
    /// The runtime asks systemd.
    Systemd,
}

/// The sandbox, as far as its containers are concerned.
#[derive(Debug, Clone)]
pub struct SandboxFacts<'a> {
    /// Id.
    pub id: &'a SandboxId,
    /// Unique name (`crio_types::sandbox_name`).
    pub name: &'a str,
    /// The request that made it.
    pub config: &'a SandboxConfig,
    /// Host name in force.
    pub hostname: &'a str,
    /// Namespaces that exist for the pod.
    pub namespaces: &'a PodNamespaces,
    /// PID namespace of the target container, for requests with `NamespaceMode::Target`.
    pub target_pid_namespace: Option<&'a Path>,
    /// Files the pod's containers share.
    pub files: &'a PodFiles,
    /// Addresses of the pod.
    pub ips: &'a [IpAddr],
    /// Pod annotations that may reach the runtime: the handler's defaults, and over them what
    /// [`crate::permitted_annotations`] leaves of the request's.
    pub runtime_annotations: &'a Labels,
    /// Runtime handler in force.
    pub runtime_handler: &'a str,
}

/// Paths of the namespaces that exist for a pod; `None` is the host's (or none pinned).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodNamespaces {
    /// Network.
    pub network: Option<PathBuf>,
    /// IPC.
    pub ipc: Option<PathBuf>,
    /// Host name.
    pub uts: Option<PathBuf>,
    /// Users; the mappings are in the sandbox's request.
    pub user: Option<PathBuf>,
    /// Processes: the infra container's, as `/proc/<pid>/ns/pid`.
    pub pid: Option<PathBuf>,
}

/// Host paths of the files a pod's containers share; `None` where the container shall not have one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodFiles {
    /// For `/etc/resolv.conf`.
    pub resolv_conf: Option<PathBuf>,
    /// For `/etc/hostname`.
    pub hostname: Option<PathBuf>,
    /// For `/etc/hosts`, when the request mounts none (host network).
    pub hosts: Option<PathBuf>,
    /// For `/dev/shm`: the pod's tmpfs, or the host's `/dev/shm` when IPC is the host's.
    pub shm: Option<PathBuf>,
    /// For `/run/.containerenv`.
    pub containerenv: Option<PathBuf>,
    /// For `/etc/localtime`, when a time zone is configured.
    pub localtime: Option<PathBuf>,
}

/// The image, as far as a container is concerned.
#[derive(Debug, Clone)]
pub struct ImageFacts<'a> {
    /// Its configuration.
    pub config: &'a ImageConfiguration,
    /// The name the user asked for.
    pub requested_name: &'a str,
    /// A name of the image in the store; empty when it has none.
    pub name: &'a str,
    /// Its id: 64 hexadecimal digits.
    pub id: &'a str,
    /// Its repository digests.
    pub repo_digests: &'a [String],
}

/// A mount with its source resolved on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedMount {
    /// As it was asked for (for an image volume: made of the volume's path).
    pub mount: Mount,
    /// The real source: every symbolic link resolved, existing.
    pub source: PathBuf,
    /// What it is.
    pub kind: MountKind,
    /// Propagation of the mount the source lies on; `None` skips the check against the requested propagation.
    pub sharing: Option<Sharing>,
}

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountKind {
    /// A host path.
    Bind,
    /// A host path below which the container storage lies: private propagation becomes `rslave`.
    BindOverStorage,
    /// An image, already mounted at the source.
    Image,
    /// A volume the image declares; the source is an empty directory made for this container.
    ImageVolume,
    /// A volume the image declares, as a tmpfs; the source is ignored.
    ImageVolumeTmpfs,
}

/// How mount events travel at the source of a mount, as `/proc/self/mountinfo` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Not at all.
    Private,
    /// From its peer group, one way.
    Slave,
    /// With its peer group, both ways.
    Shared,
}

/// What the host and the runtime can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// cgroup version.
    pub cgroup_version: CgroupVersion,
    /// The hugetlb controller is there.
    pub has_hugetlb: bool,
    /// The memory controller can limit swap.
    pub has_memory_swap: bool,
    /// The pids controller is there.
    pub has_pids: bool,
    /// The lowest OOM score adjustment we may set; −1000 with `CAP_SYS_RESOURCE`, else our own.
    pub minimum_oom_score_adj: i32,
    /// Mounts can be id-mapped.
    pub idmapped_mounts: bool,
    /// What the runtime can do.
    pub runtime: RuntimeFacts,
}

/// cgroup version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// Version 1, or hybrid.
    V1,
    /// Version 2, unified.
    V2,
}

/// What the OCI runtime of the handler can do, from its `features` output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeFacts {
    /// The `ociVersion` to write.
    pub oci_version: String,
    /// It knows the mount option `rro`.
    pub recursive_read_only: bool,
    /// Smallest memory limit accepted, in bytes (`container_min_memory`).
    pub minimum_memory_bytes: i64,
}

/// What the configuration adds to every container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Defaults {
    /// `default_env`, as `NAME=value`; image and request win over it.
    pub env: Vec<String>,
    /// `default_ulimits`.
    pub ulimits: Vec<PosixRlimit>,
    /// `pids_limit`; zero and below set none.
    pub pids_limit: i64,
    /// `read_only`: every root is read-only, with tmpfs at `/run`, `/tmp` and `/var/tmp`.
    pub read_only: bool,
    /// The cgroup file system is writable for this container (the gated annotation).
    pub cgroup_writable: bool,
    /// Beginnings of the guarded annotation keys the runtime handler allows (`allowed_annotations`).
    pub allowed_annotations: Vec<String>,
}
