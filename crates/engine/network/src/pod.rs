//! What is attached to a network, and what came of it. Both are part of the caller's durable record.

use std::net::IpAddr;
use std::path::PathBuf;

use crio_types::{Labels, PortMapping, SandboxId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A pod to attach to, or detach from, the node's default network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodNetwork {
    /// The sandbox; its id is the CNI container id.
    pub sandbox_id: SandboxId,
    /// Pod name, given to plugins as `K8S_POD_NAME`.
    pub name: String,
    /// Pod namespace, given to plugins as `K8S_POD_NAMESPACE`.
    pub namespace: String,
    /// Pod uid, given to plugins as `K8S_POD_UID`.
    pub uid: String,
    /// The pinned network namespace.
    pub netns: PathBuf,
    /// The pod's cgroup, for plugins with the `cgroupPath` capability; empty for none.
    pub cgroup_path: String,
    /// Annotations: bandwidth is read from them, and plugins with the capability get them all.
    pub annotations: Labels,
    /// Host ports.
    pub ports: Vec<PortMapping>,
}

/// A pod's place in a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Name of the network's configuration.
    pub network: String,
    /// The interface in the pod that carries the addresses.
    pub interface: String,
    /// The pod's addresses, the primary one first; empty when the plugins gave none.
    pub ips: Vec<IpAddr>,
    /// The same addresses with the prefix of the pod's subnet.
    pub addresses: Vec<IpNet>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A pod without anything special, its id made of `byte`.
    pub(crate) fn pod(byte: u8) -> PodNetwork {
        PodNetwork {
            sandbox_id: SandboxId::from_bytes([byte; 32]),
            name: "web".to_owned(),
            namespace: "default".to_owned(),
            uid: "u-1".to_owned(),
            netns: PathBuf::from("/no/such/netns"),
            cgroup_path: String::new(),
            annotations: Labels::new(),
            ports: Vec::new(),
        }
    }
}
