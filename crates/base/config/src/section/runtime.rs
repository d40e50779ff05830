//! `[crio.runtime]`: what every container gets, and how the daemon runs them.

use std::path::PathBuf;
use std::time::Duration;

use crio_types::IdMapping;

use super::{option, section};
use crate::codec::{
    AbsolutePath, AnyPath, Assigned, CapabilityName, CpuList, Detected, DeviceRule, IdMappings, List, Number, Optional,
    PositiveOr, Regular, Seconds, Switch, Sysctl, UlimitRule, Word, words,
};
use crate::{Assignment, DeviceNode, Ulimit};

words! {
    /// Who makes cgroups.
    CgroupManager {
        /// systemd, as slices and scopes.
        Systemd = "systemd",
        /// The daemon itself, as directories.
        Cgroupfs = "cgroupfs",
    }
}

words! {
    /// How much is logged, least first.
    LogLevel {
        /// As `Error`.
        Fatal = "fatal",
        /// As `Error`.
        Panic = "panic",
        /// What an operator must act on.
        Error = "error",
        /// What is odd and handled.
        Warn = "warn",
        /// As `Warn`.
        Warning = "warning",
        /// One line for each finished operation.
        Info = "info",
        /// Steps.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

/// The capabilities a container has when nobody says anything.
const CAPABILITIES: [&str; 9] =
    ["CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE", "KILL"];

section! {
    /// `[crio.runtime]`. The tables below it are [`Config::runtimes`](crate::Config::runtimes) and
    /// [`Config::workloads`](crate::Config::workloads).
    Runtime {
        /// Name of the runtime handler for pods that ask for none. When the configuration does not set it and crun is not installed,
        /// runc is used.
        default_runtime: String as Regular = "crun".to_owned()
            => option().flag("default-runtime").env(&["CONTAINER_DEFAULT_RUNTIME"]).live();
        /// Limits every container starts with, as name=soft:hard. Empty: those of the daemon.
        default_ulimits: Vec<Ulimit> as List<UlimitRule> = Vec::new()
            => option().flag("default-ulimits").env(&["CONTAINER_DEFAULT_ULIMITS"]);
        /// Whether runtimes change the root with a moving mount rather than pivot_root, as a ramdisk needs.
        no_pivot: bool as Switch = false
            => option().flag("no-pivot").env(&["CONTAINER_NO_PIVOT"]).accepted();
        /// Keys that unlock encrypted images.
        decryption_keys_path: Option<PathBuf> as Optional<AnyPath> = Some("/etc/crio/keys/".into())
            => option().flag("decryption-keys-path").live().accepted();
        /// Program that monitors containers. crio-rs uses its own monitor, crio-conmon.
        conmon: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("conmon").env(&["CONTAINER_CONMON"]).deprecated("the built-in monitor is always used").accepted();
        /// Cgroup of the monitors: a slice, or "pod" for that of their pod.
        conmon_cgroup: Option<String> as Optional<Regular> = None
            => option().flag("conmon-cgroup").env(&["CONTAINER_CONMON_CGROUP"]).deprecated("use monitor_cgroup of the runtime handler");
        /// Environment of the monitors.
        conmon_env: Vec<Assignment> as List<Assigned> = Vec::new()
            => option().flag("conmon-env").env(&["CONTAINER_CONMON_ENV"]).deprecated("use monitor_env of the runtime handler");
        /// Environment variables for every container. What the image or the pod sets wins.
        default_env: Vec<Assignment> as List<Assigned> = Vec::new()
            => option().flag("default-env").env(&["CONTAINER_DEFAULT_ENV"]);
        /// Lowest GOMAXPROCS given to containers that have no CPU limit; 0 sets none.
        min_injected_gomaxprocs: u32 as Number<0, 65_536> = 0
            => option().flag("min-injected-gomaxprocs").env(&["CONTAINER_INJECT_GOMAXPROCS"]).accepted();
        /// Whether processes get SELinux labels. When it is not set, that is found out from the host.
        selinux: Option<bool> as Detected = None
            => option().flag("selinux").env(&["CONTAINER_SELINUX"]).deprecated("it is found out from the host");
        /// File with the seccomp profile used for RuntimeDefault, "unconfined", or empty for the built-in one.
        seccomp_profile: Option<String> as Optional<Regular> = None
            => option().flag("seccomp-profile").env(&["CONTAINER_SECCOMP_PROFILE"]).live();
        /// File with a seccomp profile for privileged containers; empty for none.
        privileged_seccomp_profile: Option<String> as Optional<Regular> = None
            => option().flag("privileged-seccomp-profile").env(&["CONTAINER_PRIVILEGED_SECCOMP_PROFILE"]).live();
        /// AppArmor profile used for RuntimeDefault, "unconfined" for none.
        apparmor_profile: String as Regular = "crio-default".to_owned()
            => option().flag("apparmor-profile").env(&["CONTAINER_APPARMOR_PROFILE"]).live();
        /// Block I/O classes.
        blockio_config_file: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("blockio-config-file").live().accepted();
        /// Whether that file is read again before each container.
        blockio_reload: bool as Switch = false
            => option().flag("blockio-reload").live().accepted();
        /// Configuration of the interrupt balancer, changed for pods that ask for quiet CPUs.
        irqbalance_config_file: Option<PathBuf> as Optional<AnyPath> = Some("/etc/sysconfig/irqbalance".into())
            => option().flag("irqbalance-config-file").accepted();
        /// File that keeps the interrupt balancer's mask for a restart, or "disable".
        irqbalance_config_restore_file: Option<PathBuf> as Optional<AnyPath> = Some("/etc/sysconfig/orig_irq_banned_cpus".into())
            => option().flag("irqbalance-config-restore-file").accepted();
        /// Resource director classes.
        rdt_config_file: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("rdt-config-file").live().accepted();
        /// Who makes cgroups: systemd or cgroupfs.
        cgroup_manager: CgroupManager as Word = CgroupManager::Systemd
            => option().flag("cgroup-manager").env(&["CONTAINER_CGROUP_MANAGER"]).always_printed();
        /// Capabilities of containers that name none.
        default_capabilities: Vec<String> as List<CapabilityName> = CAPABILITIES.map(str::to_owned).to_vec()
            => option().flag("default-capabilities").env(&["CONTAINER_DEFAULT_CAPABILITIES"]);
        /// Whether the default capabilities are inheritable too.
        add_inheritable_capabilities: bool as Switch = false
            => option().flag("add-inheritable-capabilities").env(&["CONTAINER_ADD_INHERITABLE_CAPABILITIES"]).accepted();
        /// Sysctls of every pod, as name=value.
        default_sysctls: Vec<Assignment> as List<Sysctl> = Vec::new()
            => option().flag("default-sysctls").env(&["CONTAINER_DEFAULT_SYSCTLS"]);
        /// Devices that the devices annotation may name.
        allowed_devices: Vec<PathBuf> as List<AbsolutePath> = vec!["/dev/fuse".into(), "/dev/net/tun".into()]
            => option().flag("allowed-devices").env(&["CONTAINER_ALLOWED_DEVICES"]);
        /// Host devices of every container, as host:container:permissions.
        additional_devices: Vec<DeviceNode> as List<DeviceRule> = Vec::new()
            => option().flag("additional-devices").env(&["CONTAINER_ADDITIONAL_DEVICES"]);
        /// Directories of Container Device Interface specifications, later ones winning.
        cdi_spec_dirs: Vec<PathBuf> as List<AbsolutePath> = vec!["/etc/cdi".into(), "/var/run/cdi".into()]
            => option().flag("cdi-spec-dirs").env(&["CONTAINER_CDI_SPEC_DIRS"]).live();
        /// Whether devices belong to the user and group the container runs as.
        device_ownership_from_security_context: bool as Switch = false
            => option().flag("device-ownership-from-security-context");
        /// Directories of OCI hooks.
        hooks_dir: Vec<PathBuf> as List<AnyPath> = vec!["/usr/share/containers/oci/hooks.d".into()]
            => option().flag("hooks-dir").env(&["CONTAINER_HOOKS_DIR"]).accepted();
        /// File with mounts for every container.
        default_mounts_file: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("default-mounts-file").env(&["CONTAINER_DEFAULT_MOUNTS_FILE"]).accepted();
        /// Host paths that are not created when a mount names them and they are missing; the container fails instead.
        absent_mount_sources_to_reject: Vec<PathBuf> as List<AnyPath> = Vec::new()
            => option().flag("absent-mount-sources-to-reject").env(&["CONTAINER_ABSENT_MOUNT_SOURCES_TO_REJECT"]);
        /// Put before every host path of a mount, for a daemon that runs in a container.
        bind_mount_prefix: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("bind-mount-prefix").env(&["CONTAINER_BIND_MOUNT_PREFIX"]).accepted();
        /// Whether every container's root is read-only, with small file systems on /run, /tmp and /var/tmp.
        read_only: bool as Switch = false
            => option().flag("read-only").env(&["CONTAINER_READ_ONLY"]);
        /// Highest number of processes in a container; -1 or 0 for no limit.
        pids_limit: i64 as Number<-1, { i64::MAX }> = -1
            => option().flag("pids-limit").env(&["CONTAINER_PIDS_LIMIT"]).deprecated("use podPidsLimit of kubelet");
        /// Largest log of a container in bytes, at least 8192; it is emptied then. -1 for no limit.
        log_size_max: Option<u64> as PositiveOr<8192> = None
            => option().flag("log-size-max").env(&["CONTAINER_LOG_SIZE_MAX"]).deprecated("use containerLogMaxSize of kubelet");
        /// Whether container logs go to the journal too.
        log_to_journald: bool as Switch = false
            => option().flag("log-journald").env(&["CONTAINER_LOG_JOURNALD"]).accepted();
        /// How much the daemon logs: fatal, panic, error, warn, info, debug or trace.
        log_level: LogLevel as Word = LogLevel::Info
            => option().flag("log-level").short('l').env(&["CONTAINER_LOG_LEVEL"]).live();
        /// Regular expression that the daemon's log messages have to match.
        log_filter: Option<String> as Optional<Regular> = None
            => option().flag("log-filter").env(&["CONTAINER_LOG_FILTER"]).live();
        /// Directory where the monitor leaves exit codes.
        container_exits_dir: PathBuf as AbsolutePath = "/var/run/crio/exits".into()
            => option().flag("container-exits-dir").env(&["CONTAINER_EXITS_DIR"]);
        /// Directory of the sockets to containers' terminals.
        container_attach_socket_dir: PathBuf as AbsolutePath = "/var/run/crio".into()
            => option().flag("container-attach-socket-dir").env(&["CONTAINER_ATTACH_SOCKET_DIR"]);
        /// Directory below which pods' namespaces are pinned, as netns/ID, ipcns/ID and utsns/ID.
        namespaces_dir: PathBuf as AbsolutePath = "/var/run".into()
            => option().flag("namespaces-dir").env(&["CONTAINER_NAMESPACES_DIR"]);
        /// Program that pins namespaces. crio-rs pins them itself.
        pinns_path: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("pinns-path").env(&["CONTAINER_PINNS_PATH"]).accepted();
        /// How long a container may take to obey its stop signal when the request does not say, in seconds, 30 at least.
        ctr_stop_timeout: Duration as Seconds = Duration::from_secs(30)
            => option().flag("ctr-stop-timeout").env(&["CONTAINER_STOP_TIMEOUT"]);
        /// Whether pods run without a pause process where nothing needs one.
        drop_infra_ctr: bool as Switch = true
            => option().flag("drop-infra-ctr").env(&["CONTAINER_DROP_INFRA_CTR"]);
        /// CPUs for pause processes and monitors.
        infra_ctr_cpuset: Option<String> as Optional<CpuList> = None
            => option().flag("infra-ctr-cpuset").env(&["CONTAINER_INFRA_CTR_CPUSET"]);
        /// CPUs that guaranteed containers may share.
        shared_cpuset: Option<String> as Optional<CpuList> = None
            => option().flag("shared-cpuset").env(&["CONTAINER_SHARED_CPUSET"]).accepted();
        /// Uid mappings of every pod's user namespace.
        uid_mappings: Vec<IdMapping> as IdMappings = Vec::new()
            => option().flag("uid-mappings").env(&["CONTAINER_UID_MAPPINGS"]).deprecated("use user namespaces of Kubernetes");
        /// Gid mappings of every pod's user namespace.
        gid_mappings: Vec<IdMapping> as IdMappings = Vec::new()
            => option().flag("gid-mappings").env(&["CONTAINER_GID_MAPPINGS"]).deprecated("use user namespaces of Kubernetes");
        /// Lowest uid a pod's mapping may name; -1 for any.
        minimum_mappable_uid: i64 as Number<-1, { u32::MAX as i64 }> = -1
            => option().flag("minimum-mappable-uid").env(&["CONTAINER_MINIMUM_MAPPABLE_UID"]).deprecated("use user namespaces of Kubernetes");
        /// Lowest gid a pod's mapping may name; -1 for any.
        minimum_mappable_gid: i64 as Number<-1, { u32::MAX as i64 }> = -1
            => option().flag("minimum-mappable-gid").env(&["CONTAINER_MINIMUM_MAPPABLE_GID"]).deprecated("use user namespaces of Kubernetes");
        /// Whether containers can be checkpointed and restored with CRIU. Unlike in CRI-O, they cannot unless this is set.
        enable_criu_support: bool as Switch = false
            => option().flag("enable-criu-support").env(&["CONTAINER_ENABLE_CRIU_SUPPORT"]);
        /// Whether container events are streamed to kubelet.
        enable_pod_events: bool as Switch = false
            => option().flag("enable-pod-events").env(&["ENABLE_POD_EVENTS"]);
        /// Cgroup that image pulls are charged to: a slice, or "pod" for that of the pod.
        separate_pull_cgroup: Option<String> as Optional<Regular> = None
            => option().flag("separate-pull-cgroup").env(&["PULL_IN_A_CGROUP"]).accepted();
        /// Read-only stores of OCI artifacts.
        additional_artifact_stores: Vec<PathBuf> as List<AnyPath> = Vec::new()
            => option().flag("additional-artifact-stores").accepted();
        /// Whether pods of the host network run without SELinux labels.
        hostnetwork_disable_selinux: bool as Switch = true
            => option().flag("hostnetwork-disable-selinux").env(&["CONTAINER_HOSTNETWORK_DISABLE_SELINUX"]);
        /// Whether host ports of pods are ignored.
        disable_hostport_mapping: bool as Switch = false
            => option().flag("disable-hostport-mapping").env(&["DISABLE_HOSTPORT_MAPPING"]);
        /// Time zone of containers: an IANA name, "Local" for the host's, empty for the image's.
        timezone: Option<String> as Optional<Regular> = None
            => option().flag("timezone").flag_alias("tz").env(&["CONTAINER_TIME_ZONE"]).accepted();
    }
}
