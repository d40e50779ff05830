//! `[crio.runtime.runtimes.NAME]`: one runtime handler, which a RuntimeClass selects by its name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{CgroupManager, option, section};
use crate::Assignment;
use crate::codec::{AnyPath, Assigned, ByteSize, List, Optional, Regular, Seconds, StringMap, Switch, Word, words};

words! {
    /// How a runtime is driven.
    RuntimeType {
        /// Through the command line of the OCI runtime specification.
        Oci = "oci",
        /// As a virtual machine, through a shim.
        Vm = "vm",
        /// As `Oci`; upstream uses another monitor, ours serves every type.
        Pod = "pod",
    }
}

words! {
    /// Where exec sessions run.
    ExecCpuAffinity {
        /// On the first CPU of the container.
        First = "first",
    }
}

/// The smallest memory limit handlers accept by default, in bytes.
const CONTAINER_MIN_MEMORY_BYTES: u64 = 12 << 20;
/// The same for the built-in crun handler, whose start needs less.
const CRUN_MIN_MEMORY_BYTES: u64 = 500 << 10;

section! {
    /// `[crio.runtime.runtimes.NAME]`. A table in a later file replaces the whole handler of that name.
    RuntimeHandler {
        /// The runtime's program; empty to look the handler's name up in PATH.
        runtime_path: Option<PathBuf> as Optional<AnyPath> = None => option().live();
        /// How the runtime is driven: "oci", "vm" or "pod". Empty means oci.
        runtime_type: Option<RuntimeType> as Optional<Word> = None => option().live();
        /// Where the runtime keeps its state; empty for its own default.
        runtime_root: Option<PathBuf> as Optional<AnyPath> = None => option().live();
        /// Whether path, type, root and configuration are those of the default handler.
        inherit_default_runtime: bool as Switch = false => option().live();
        /// Configuration file of a vm runtime.
        runtime_config_path: Option<PathBuf> as Optional<AnyPath> = None => option().live().accepted();
        /// Whether privileged containers get no host devices.
        privileged_without_host_devices: bool as Switch = false => option().live();
        /// Annotations of pods that change what the runtime does and are honoured for this handler.
        allowed_annotations: Vec<String> as List<Regular> = Vec::new() => option().live();
        /// Annotations for pods that do not carry them.
        default_annotations: BTreeMap<String, String> as StringMap = BTreeMap::new() => option().live();
        /// Program that monitors containers. crio-rs uses its own monitor, crio-conmon.
        monitor_path: Option<PathBuf> as Optional<AnyPath> = None => option().live().accepted();
        /// Cgroup of the monitor: a slice, or "pod" for that of its pod. Empty means system.slice under systemd.
        monitor_cgroup: Option<String> as Optional<Regular> = None => option().live();
        /// Environment of the monitor, and so of the runtime, which finds criu in its PATH.
        monitor_env: Vec<Assignment> as List<Assigned> = Vec::new() => option().live();
        /// Cgroup of exec sessions: "container" for that of the container.
        monitor_exec_cgroup: Option<String> as Optional<Regular> = None => option().live().accepted();
        /// Programs for other platforms, by os/architecture.
        platform_runtime_paths: BTreeMap<String, String> as StringMap = BTreeMap::new() => option().live().accepted();
        /// Whether the image is pulled inside the guest.
        runtime_pull_image: bool as Switch = false => option().live().hidden().accepted();
        /// Smallest memory limit a container may have.
        container_min_memory: u64 as ByteSize = CONTAINER_MIN_MEMORY_BYTES => option().live();
        /// Whether logs are not synced to disk when a container ends.
        no_sync_log: bool as Switch = false => option().live().accepted();
        /// Whether the monitor serves exec and attach over WebSockets itself.
        stream_websockets: bool as Switch = false => option().live().accepted();
        /// CPU of exec sessions: empty for the container's, "first" for its first.
        exec_cpu_affinity: Option<ExecCpuAffinity> as Optional<Word> = None => option().live().hidden().accepted();
        /// File with the seccomp profile for RuntimeDefault under this handler.
        seccomp_profile: Option<String> as Optional<Regular> = None => option().live();
        /// How long the runtime may take to create a container, in seconds, 30 at least.
        container_create_timeout: Duration as Seconds = Duration::from_secs(240) => option().live();
    }
}

impl RuntimeHandler {
    /// The handler `crun` that exists without being configured.
    #[must_use]
    pub fn builtin_crun() -> Self {
        Self {
            runtime_root: Some("/run/crun".into()),
            allowed_annotations: vec!["io.containers.trace-syscall".to_owned(), "devices.crio.io".to_owned()],
            container_min_memory: CRUN_MIN_MEMORY_BYTES,
            ..Self::default()
        }
    }

    /// The handler `runc` that stands in for the built-in crun where crun is not installed.
    #[must_use]
    pub fn builtin_runc() -> Self {
        Self {
            runtime_root: Some("/run/runc".into()),
            container_min_memory: CONTAINER_MIN_MEMORY_BYTES,
            ..Self::builtin_crun()
        }
    }

    /// How the runtime is driven, the default filled in.
    #[must_use]
    pub fn kind(&self) -> RuntimeType {
        self.runtime_type.unwrap_or(RuntimeType::Oci)
    }

    /// The cgroup of the monitor, the default filled in; `None` for the daemon's own.
    #[must_use]
    pub fn effective_monitor_cgroup(&self, manager: CgroupManager) -> Option<&str> {
        match (&self.monitor_cgroup, manager) {
            (Some(cgroup), _) => Some(cgroup),
            (None, CgroupManager::Systemd) => Some("system.slice"),
            (None, CgroupManager::Cgroupfs) => None,
        }
    }
}
