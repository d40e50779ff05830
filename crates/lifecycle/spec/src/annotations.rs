//! The annotations of a specification: `io.kubernetes.cri-o.*` as CRI-O writes them, and what a pod may pass on.
//!
//! Runtimes, hooks and tools read them. Some annotations of a pod change what a runtime does on the host
//! (`org.systemd.property.*`, `run.oci.*`, …), so those pass only when the runtime handler's configuration allows
//! them (CVE-2024-3154, CVE-2023-6476); ours are written last and cannot be forged. An image contributes none.

use std::collections::HashMap;

use crio_types::{Labels, Propagation, SandboxConfig, Signal, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{CgroupDriver, InfraInput, MountKind, SpecInput};

/// Beginnings of annotation keys that reach the OCI runtime or this daemon only when allowed.
const GUARDED: &[&str] = &[
    "bundle",
    "cgroup2-mount-hierarchy-rw.crio.io",
    "cpu-c-states.crio.io",
    "cpu-freq-governor.crio.io",
    "cpu-load-balancing.crio.io",
    "cpu-quota.crio.io",
    "cpu-shared.crio.io",
    "devices.crio.io",
    "disable-fips.crio.io",
    "io.containers.trace-syscall",
    "io.kubernetes.cri-o.",
    "io.kubernetes.cri.container-type",
    "io.kubernetes.cri.rdt-class",
    "irq-load-balancing.crio.io",
    "link-logs.crio.io",
    "module.wasm.image/variant",
    "org.criu.config",
    "org.opencontainers.image.stopSignal",
    "org.systemd.property.",
    "platform-runtime-path.crio.io",
    "pod-linux-overhead.crio.io",
    "pod-linux-resources.crio.io",
    "run.oci.",
    "seccomp-notifier-action.crio.io",
    "seccomp-profile.crio.io",
    "seccomp-profile.kubernetes.cri-o.io",
    "shm-size.crio.io",
    "skip-gomaxprocs.crio.io",
    "spoofed.crio.io",
    "try-skip-volume-selinux-label.crio.io",
    "umask.crio.io",
    "unified-cgroup.crio.io",
    "userns-mode.crio.io",
];

const PREFIX: &str = "io.kubernetes.cri-o.";
const STOP_SIGNAL: &str = "org.opencontainers.image.stopSignal";
/// Kubelet's label with the pod's grace period in seconds.
const GRACE_PERIOD: &str = "io.kubernetes.pod.terminationGracePeriod";

/// The annotations of a request that may take effect under a handler that allows the keys beginning with `allowed`.
#[must_use]
pub fn permitted_annotations(requested: &Labels, allowed: &[String]) -> Labels {
    let passes = |key: &str| {
        !GUARDED.iter().any(|guarded| key.starts_with(guarded))
            || allowed.iter().any(|allowed| !allowed.is_empty() && key.starts_with(allowed.as_str()))
    };
    let pairs = requested.iter().filter(|(key, _)| passes(key));
    pairs.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The annotations of a container.
pub(crate) fn of_container(input: &SpecInput<'_>) -> HashMap<String, String> {
    let (container, sandbox, image) = (&input.container, &input.sandbox, &input.image);
    let config = container.config;
    let allowed = &input.defaults.allowed_annotations;
    let own = permitted_annotations(&config.annotations, allowed);
    let mut all =
        Annotations::passed_on([sandbox.runtime_annotations, &own, &permitted_annotations(&config.labels, allowed)]);
    all.own("Image", image.requested_name);
    all.own("ImageName", image.name);
    all.own("ImageRef", image.id);
    if !image.repo_digests.is_empty() {
        all.own("ImageRepoDigests", &image.repo_digests.join(","));
    }
    all.own("Name", container.name);
    all.own("ContainerID", container.id.as_str());
    all.own("ContainerName", container.name);
    all.own("ContainerType", "container");
    all.own("SandboxID", sandbox.id.as_str());
    all.own("SandboxName", sandbox.name);
    all.own("Namespace", &sandbox.config.metadata.namespace);
    all.own("KubeName", &sandbox.config.metadata.name);
    all.own("RuntimeHandler", sandbox.runtime_handler);
    all.own("LogPath", container.log_path);
    all.flag("TTY", config.tty);
    all.flag("Stdin", config.stdin);
    all.flag("StdinOnce", config.stdin_once);
    all.path("ResolvPath", sandbox.files.resolv_conf.as_deref());
    all.path("HostnamePath", sandbox.files.hostname.as_deref());
    all.path("MountPoint", Some(container.rootfs));
    all.own("CgroupParent", &sandbox.config.cgroup_parent);
    all.own("SeccompProfilePath", &input.confinement.seccomp.reference);
    all.own("Created", &time(container.created));
    all.json("Metadata", &json!({ "name": config.metadata.name, "attempt": config.metadata.attempt }));
    all.json("Labels", &config.labels);
    all.json("Annotations", &config.annotations);
    all.json("Volumes", &volumes(input));
    for (number, ip) in sandbox.ips.iter().enumerate() {
        all.own(&format!("IP.{number}"), &ip.to_string());
    }
    let of_image = image.config.config().as_ref().and_then(|config| config.stop_signal().as_deref());
    all.stop_signal(config.stop_signal.or_else(|| of_image.and_then(Signal::parse)));
    if container.cgroup_driver == CgroupDriver::Systemd {
        all.systemd(config.annotations.get(GRACE_PERIOD).or_else(|| config.labels.get(GRACE_PERIOD)));
    }
    all.finish()
}

/// The annotations of the pause container.
pub(crate) fn of_infra(input: &InfraInput<'_>) -> HashMap<String, String> {
    let sandbox = &input.sandbox;
    let config = sandbox.config;
    let metadata = &config.metadata;
    let mut all = Annotations::passed_on([sandbox.runtime_annotations, &permitted_annotations(&config.labels, &[])]);
    all.own("Image", input.image_name);
    all.own("ImageName", input.image_name);
    all.own("Name", sandbox.name);
    all.own("ContainerID", sandbox.id.as_str());
    all.own("ContainerName", &infra_name(config));
    all.own("ContainerType", "sandbox");
    all.own("SandboxID", sandbox.id.as_str());
    all.own("SandboxName", sandbox.name);
    all.own("Namespace", &metadata.namespace);
    all.own("KubeName", &metadata.name);
    all.own("RuntimeHandler", sandbox.runtime_handler);
    all.own("HostName", sandbox.hostname);
    all.flag("HostNetwork", config.security.namespaces.network == crio_types::NamespaceMode::Node);
    all.flag("PrivilegedRuntime", config.security.privileged);
    all.own("LogPath", input.log_path);
    all.path("ResolvPath", sandbox.files.resolv_conf.as_deref());
    all.path("HostnamePath", sandbox.files.hostname.as_deref());
    all.path("ShmPath", sandbox.files.shm.as_deref());
    all.path("MountPoint", Some(input.rootfs));
    all.own("CgroupParent", &config.cgroup_parent);
    all.own("SeccompProfilePath", &input.confinement.seccomp.reference);
    all.own("Created", &time(input.created));
    all.json(
        "Metadata",
        &json!({
            "name": metadata.name, "uid": metadata.uid,
            "namespace": metadata.namespace, "attempt": metadata.attempt,
        }),
    );
    all.json("Labels", &config.labels);
    all.json("Annotations", &config.annotations);
    all.json("NamespaceOptions", &namespace_options(config));
    for (number, ip) in sandbox.ips.iter().enumerate() {
        all.own(&format!("IP.{number}"), &ip.to_string());
    }
    if input.cgroup_driver == CgroupDriver::Systemd {
        all.systemd(None);
    }
    all.finish()
}

fn infra_name(config: &SandboxConfig) -> String {
    let metadata = &config.metadata;
    format!("k8s_POD_{}_{}_{}_{}", metadata.name, metadata.namespace, metadata.uid, metadata.attempt)
}

struct Annotations(HashMap<String, String>);

impl Annotations {
    fn passed_on<const N: usize>(sources: [&Labels; N]) -> Self {
        let pairs = sources.into_iter().flatten();
        Self(pairs.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn own(&mut self, key: &str, value: &str) {
        self.0.insert(format!("{PREFIX}{key}"), value.to_owned());
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.own(key, if value { "true" } else { "false" });
    }

    fn path(&mut self, key: &str, path: Option<&std::path::Path>) {
        self.own(key, &path.map(|path| path.display().to_string()).unwrap_or_default());
    }

    fn json(&mut self, key: &str, value: &impl Serialize) {
        let text = serde_json::to_string(value).expect("maps of text always have a JSON form");
        self.own(key, &text);
    }

    fn stop_signal(&mut self, signal: Option<Signal>) {
        if let Some(signal) = signal {
            self.0.insert(STOP_SIGNAL.to_owned(), signal.name());
        }
    }

    /// Properties of the scope systemd makes: it ends before the daemon's dependencies do, in the pod's time.
    fn systemd(&mut self, grace_period_seconds: Option<&String>) {
        let mut set = |key: &str, value: String| self.0.insert(format!("org.systemd.property.{key}"), value);
        set("DefaultDependencies", "true".to_owned());
        set("After", "['crio.service']".to_owned());
        let seconds = grace_period_seconds.and_then(|text| text.parse::<u32>().ok());
        if let Some(seconds) = seconds {
            set("TimeoutStopUSec", format!("uint64 {seconds}000000"));
        }
    }

    fn finish(mut self) -> HashMap<String, String> {
        self.0.remove("");
        self.0.insert("io.container.manager".to_owned(), "cri-o".to_owned());
        self.0
    }
}

/// RFC 3339 with nanoseconds, as Go writes it.
fn time(moment: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(moment.0)).map(|moment| moment.to_string()).unwrap_or_default()
}

/// The request's mounts in the shape of CRI-O's `ContainerVolume` list.
fn volumes(input: &SpecInput<'_>) -> Value {
    let requested = input
        .mounts
        .iter()
        .filter(|mount| matches!(mount.kind, MountKind::Bind | MountKind::BindOverStorage | MountKind::Image));
    let one = |mount: &crate::ResolvedMount| {
        let request = &mount.mount;
        let mut entry = Map::new();
        entry.insert("container_path".to_owned(), request.container_path.clone().into());
        entry.insert("host_path".to_owned(), mount.source.display().to_string().into());
        entry.insert("readonly".to_owned(), request.readonly.into());
        entry.insert("recursive_read_only".to_owned(), request.recursive_read_only.into());
        entry.insert("propagation".to_owned(), propagation_number(request.propagation).into());
        entry.insert("selinux_relabel".to_owned(), request.selinux_relabel.into());
        if let Some(image) = &request.image {
            entry.insert("image".to_owned(), json!({ "image": image.image.image }));
        }
        Value::Object(entry)
    };
    Value::Array(requested.map(one).collect())
}

/// CRI's enum numbers.
fn propagation_number(propagation: Propagation) -> u8 {
    match propagation {
        Propagation::Private => 0,
        Propagation::HostToContainer => 1,
        Propagation::Bidirectional => 2,
    }
}

/// CRI's message in Go's JSON form, where zero values are left out.
fn namespace_options(config: &SandboxConfig) -> Value {
    use crio_types::NamespaceMode::{Container, Node, Pod, Target};
    let modes = &config.security.namespaces;
    let mut options = Map::new();
    for (key, mode) in [("network", &modes.network), ("pid", &modes.pid), ("ipc", &modes.ipc)] {
        let number = match mode {
            Pod => continue,
            Container => 1,
            Node => 2,
            Target(_) => 3,
        };
        options.insert(key.to_owned(), number.into());
    }
    Value::Object(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(keys: &[&str]) -> Labels {
        keys.iter().map(|key| ((*key).to_owned(), "x".to_owned())).collect()
    }

    #[test]
    fn what_moves_a_runtime_passes_only_when_allowed() {
        let requested = labels(&[
            "app",
            "io.kubernetes.container.hash",
            "org.systemd.property.ExecStart",
            "run.oci.hooks.stdout",
            "run.oci.handler",
            "org.criu.config",
            "io.kubernetes.cri-o.UnifiedCgroup/x",
            "io.kubernetes.cri-o.ContainerID",
            "unified-cgroup.crio.io/x",
            "io.katacontainers.config.hypervisor.default_vcpus",
        ]);
        let harmless =
            labels(&["app", "io.kubernetes.container.hash", "io.katacontainers.config.hypervisor.default_vcpus"]);
        assert_eq!(permitted_annotations(&requested, &[]), harmless);
        assert_eq!(permitted_annotations(&requested, &[String::new()]), harmless);
        let allowed = permitted_annotations(&requested, &["run.oci.handler".to_owned()]);
        assert!(allowed.contains_key("run.oci.handler") && !allowed.contains_key("run.oci.hooks.stdout"));
    }

    #[test]
    fn a_moment_reads_as_go_writes_it() {
        assert_eq!(time(Timestamp(1_700_000_000_123_456_789)), "2023-11-14T22:13:20.123456789Z");
    }
}
