//! What this engine is told: the handlers, and how monitors are started. Plain data; the composition root fills it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Handlers by name.
    pub handlers: BTreeMap<String, HandlerConfig>,
    /// The handler of pods that name none.
    pub default_handler: String,
    /// The `crio-conmon` program.
    pub monitor_binary: PathBuf,
    /// Where exit codes are published, one file per container (`<directory>/<container id>`).
    pub exits_directory: PathBuf,
    /// Cgroups are managed by systemd: the runtime gets `--systemd-cgroup`.
    pub systemd_cgroup: bool,
}

/// What kind of runtime a handler is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HandlerKind {
    /// A program with the OCI runtime command line.
    #[default]
    Oci,
    /// A virtual machine behind a shim. Known so that its pods are refused with a clear message.
    Vm,
}

/// One handler, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerConfig {
    /// The program; the handler's name, looked up in `PATH`, when absent.
    pub path: Option<PathBuf>,
    /// Where the runtime keeps its state (`--root`); its own default when absent.
    pub root: Option<PathBuf>,
    /// What kind it is.
    pub kind: HandlerKind,
    /// Pod annotations that may change how its containers run.
    pub allowed_annotations: Vec<String>,
    /// Annotations pods get when they lack them.
    pub default_annotations: BTreeMap<String, String>,
    /// Privileged containers do not get the host's devices.
    pub privileged_without_host_devices: bool,
    /// The smallest memory limit accepted, in bytes.
    pub container_min_memory_bytes: u64,
    /// Time allowed for making a container.
    pub create_timeout: Duration,
    /// The cgroup of its monitors: a slice, `pod`, or empty for the daemon's choice.
    pub monitor_cgroup: String,
    /// Environment of its monitors, as `NAME=value`, on top of `PATH`.
    pub monitor_environment: Vec<String>,
}

impl Default for HandlerConfig {
    fn default() -> Self {
        Self {
            path: None,
            root: None,
            kind: HandlerKind::Oci,
            allowed_annotations: Vec::new(),
            default_annotations: BTreeMap::new(),
            privileged_without_host_devices: false,
            container_min_memory_bytes: 12 << 20,
            create_timeout: Duration::from_secs(240),
            monitor_cgroup: String::new(),
            monitor_environment: Vec::new(),
        }
    }
}
