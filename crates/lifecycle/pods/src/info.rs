//! What verbose status and the inspection interface tell: details for tools, not for kubelet's decisions.

use std::net::IpAddr;
use std::path::Path;

use crio_types::{Labels, NamespaceMode, Timestamp};
use serde_json::{Value, json};

use crate::container::Container;
use crate::sandbox::Sandbox;

/// What the inspection interface tells about a container or a sandbox. cAdvisor in every kubelet reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Unique name.
    pub name: String,
    /// First process; of a pod without a pause container, that of any of its containers; 0 without one.
    pub pid: u32,
    /// Name of the image.
    pub image: String,
    /// Repository digest of the image.
    pub image_ref: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Labels.
    pub labels: Labels,
    /// Annotations of the request.
    pub annotations: Labels,
    /// Annotations of our own.
    pub crio_annotations: Labels,
    /// Absolute path of the log.
    pub log_path: String,
    /// The mounted root (`…/merged`); empty for a pod without a pause container.
    pub root: String,
    /// Id of the sandbox.
    pub sandbox: String,
    /// Addresses of the pod.
    pub ip_addresses: Vec<IpAddr>,
    /// Whether the pod uses the host's network.
    pub host_network: bool,
}

/// Verbose status of a container.
pub(crate) fn container_info(container: &Container) -> Value {
    let record = container.record();
    json!({
        "sandboxID": record.sandbox_id,
        "pid": record.pid,
        "runtimeSpec": read_spec(&record.bundle),
        "privileged": record.config.security.privileged,
    })
}

/// Verbose status of a sandbox.
pub(crate) fn sandbox_info(sandbox: &Sandbox) -> Value {
    let infra = sandbox.infra().map(|infra| infra.record());
    let record = sandbox.record();
    json!({
        "image": infra.as_ref().map_or("", |infra| infra.image_name.as_str()),
        "pid": pod_pid(sandbox),
        "runtimeSpec": infra.map_or(Value::Null, |infra| read_spec(&infra.bundle)),
        "overhead": record.overhead,
        "resources": record.resources,
    })
}

pub(crate) fn inspect_container(container: &Container) -> Inspection {
    let record = container.record();
    let pod = container.sandbox().record();
    Inspection {
        name: record.name,
        pid: record.pid,
        image: record.image_name,
        image_ref: record.image_ref,
        created_at: record.created_at,
        labels: record.config.labels,
        annotations: record.config.annotations,
        crio_annotations: Labels::new(),
        log_path: record.log_path.display().to_string(),
        root: record.rootfs.display().to_string(),
        sandbox: record.sandbox_id.to_string(),
        ip_addresses: pod.ips(),
        host_network: pod.config.security.namespaces.network == NamespaceMode::Node,
    }
}

pub(crate) fn inspect_sandbox(sandbox: &Sandbox) -> Inspection {
    let pod = sandbox.record();
    let infra = sandbox.infra().map(|infra| infra.record());
    let mut labels = pod.config.labels.clone();
    // cAdvisor takes network counters only from the entry with this label.
    labels.insert("io.kubernetes.container.name".to_owned(), "POD".to_owned());
    Inspection {
        pid: pod_pid(sandbox),
        image: infra.as_ref().map(|infra| infra.image_name.clone()).unwrap_or_default(),
        image_ref: infra.as_ref().map(|infra| infra.image_ref.clone()).unwrap_or_default(),
        created_at: pod.created_at,
        labels,
        crio_annotations: Labels::new(),
        log_path: String::new(),
        root: infra.map(|infra| infra.rootfs.display().to_string()).unwrap_or_default(),
        sandbox: pod.id.to_string(),
        ip_addresses: pod.ips(),
        host_network: pod.config.security.namespaces.network == NamespaceMode::Node,
        annotations: pod.config.annotations,
        name: pod.name,
    }
}

/// A process in the pod's network namespace.
fn pod_pid(sandbox: &Sandbox) -> u32 {
    let running = |container: &std::sync::Arc<Container>| container.state() == crio_types::ContainerState::Running;
    let any = sandbox.infra().or_else(|| sandbox.containers().into_iter().find(running));
    any.map_or(0, |container| container.record().pid)
}

/// The specification as it was written; null when it is gone.
fn read_spec(bundle: &Path) -> Value {
    let json = std::fs::read(bundle.join("config.json")).unwrap_or_default();
    serde_json::from_slice(&json).unwrap_or(Value::Null)
}
