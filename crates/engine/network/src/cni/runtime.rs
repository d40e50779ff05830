//! Which facts of a pod plugins are told: `CNI_ARGS` and the capability values of `runtimeConfig`.
//!
//! The names are those every Kubernetes network plugin knows. A value goes only to plugins that declare the capability
//! (CNI conventions). Port mappings are offered only when this crate keeps no host ports itself: two owners of one
//! host port would translate twice.

use std::path::PathBuf;

use crio_types::{PortMapping, Protocol};
use serde_json::{Map, Value, json};

use super::quantity;
use crate::PodNetwork;

/// Annotations with the pod's bandwidth limits, in bits per second.
const INGRESS_BANDWIDTH: &str = "kubernetes.io/ingress-bandwidth";
const EGRESS_BANDWIDTH: &str = "kubernetes.io/egress-bandwidth";
/// Limits Kubernetes accepts, in bits per second.
const BANDWIDTH_BITS_MIN: u64 = 1_000;
const BANDWIDTH_BITS_MAX: u64 = 1_000_000_000_000_000;
/// Burst in bits: as good as unlimited, and the largest that all versions of the bandwidth plugin take.
const BURST_BITS: u64 = 0x7fff_ffff;

/// Who keeps the pod's host ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostPortOwner {
    /// This crate.
    Daemon,
    /// A plugin with the `portMappings` capability.
    Plugin,
}

/// A pod as plugins see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts {
    pub(crate) container_id: String,
    /// Path of the network namespace; empty when it is gone.
    pub(crate) netns: String,
    pub(crate) arguments: Vec<(String, String)>,
    pub(crate) capabilities: Map<String, Value>,
}

/// A pod that cannot be described to plugins.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// `CNI_ARGS` has no quoting, so a value with a separator would become another argument.
    #[error("{key} cannot be given to network plugins: {value:?}")]
    Argument {
        /// Which argument.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A bandwidth annotation is no quantity, or out of range.
    #[error("annotation {annotation} is no bandwidth between 1k and 1P: {value:?}")]
    Bandwidth {
        /// The annotation.
        annotation: &'static str,
        /// Its value.
        value: String,
    },
    /// Plugins get the path as text.
    #[error("the path of the network namespace is not UTF-8: {path}")]
    Path {
        /// The path.
        path: PathBuf,
    },
}

impl Facts {
    /// Describes `pod`.
    pub(crate) fn new(pod: &PodNetwork, owner: HostPortOwner) -> Result<Self, FactsError> {
        let netns = pod.netns.to_str().ok_or_else(|| FactsError::Path { path: pod.netns.clone() })?;
        Ok(Self {
            container_id: pod.sandbox_id.to_string(),
            netns: netns.to_owned(),
            arguments: arguments(pod)?,
            capabilities: capabilities(pod, owner)?,
        })
    }

    /// The value of `CNI_ARGS`.
    pub(crate) fn argument_line(&self) -> String {
        let pairs: Vec<String> = self.arguments.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(";")
    }
}

fn arguments(pod: &PodNetwork) -> Result<Vec<(String, String)>, FactsError> {
    let pairs = [
        ("IgnoreUnknown", "1"),
        ("K8S_POD_NAMESPACE", &pod.namespace),
        ("K8S_POD_NAME", &pod.name),
        ("K8S_POD_INFRA_CONTAINER_ID", pod.sandbox_id.as_str()),
        ("K8S_POD_UID", &pod.uid),
    ];
    pairs
        .into_iter()
        .map(|(key, value)| {
            if value.contains(|c: char| matches!(c, ';' | '=') || c.is_control()) {
                let value = value.to_owned();
                return Err(FactsError::Argument { key, value });
            }
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect()
}

fn capabilities(pod: &PodNetwork, owner: HostPortOwner) -> Result<Map<String, Value>, FactsError> {
    let mut values = Map::new();
    let ingress = bandwidth(pod, INGRESS_BANDWIDTH)?;
    let egress = bandwidth(pod, EGRESS_BANDWIDTH)?;
    if ingress.is_some() || egress.is_some() {
        let mut limits = Map::new();
        for (rate, direction) in [(ingress, "ingress"), (egress, "egress")] {
            let Some(rate) = rate else { continue };
            limits.insert(format!("{direction}Rate"), rate.into());
            limits.insert(format!("{direction}Burst"), BURST_BITS.into());
        }
        values.insert("bandwidth".to_owned(), Value::Object(limits));
    }
    if !pod.cgroup_path.is_empty() {
        values.insert("cgroupPath".to_owned(), pod.cgroup_path.clone().into());
    }
    if !pod.annotations.is_empty() {
        values.insert("io.kubernetes.cri.pod-annotations".to_owned(), json!(pod.annotations));
    }
    if owner == HostPortOwner::Plugin {
        let ports: Vec<Value> = pod.ports.iter().filter(|port| port.host_port != 0).map(port_mapping).collect();
        if !ports.is_empty() {
            values.insert("portMappings".to_owned(), Value::Array(ports));
        }
    }
    Ok(values)
}

fn bandwidth(pod: &PodNetwork, annotation: &'static str) -> Result<Option<u64>, FactsError> {
    let Some(value) = pod.annotations.get(annotation) else {
        return Ok(None);
    };
    match quantity::parse(value) {
        Some(bits) if (BANDWIDTH_BITS_MIN..=BANDWIDTH_BITS_MAX).contains(&bits) => Ok(Some(bits)),
        _ => Err(FactsError::Bandwidth { annotation, value: value.clone() }),
    }
}

fn port_mapping(port: &PortMapping) -> Value {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    };
    let mut mapping = json!({
        "hostPort": port.host_port,
        "containerPort": port.container_port,
        "protocol": protocol,
    });
    if let Some(address) = port.host_ip {
        mapping["hostIP"] = address.to_string().into();
    }
    mapping
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::tests::pod;

    #[test]
    fn plugins_learn_which_pod_it_is() {
        let facts = Facts::new(&pod(1), HostPortOwner::Daemon).expect("plain");
        let id = "01".repeat(32);
        assert_eq!(
            facts.argument_line(),
            format!(
                "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID={id};K8S_POD_UID=u-1"
            )
        );
        assert_eq!(facts.capabilities, Map::new());
    }

    #[test]
    fn a_value_cannot_smuggle_an_argument() {
        for name in ["a;K8S_POD_UID=b", "a=b", "a\nb", "a\0"] {
            let pod = PodNetwork { name: name.to_owned(), ..pod(1) };
            assert!(Facts::new(&pod, HostPortOwner::Daemon).is_err(), "{name:?}");
        }
    }

    #[test]
    fn capabilities_follow_the_pod() {
        let mut pod = pod(1);
        pod.cgroup_path = "/kubepods/pod1".to_owned();
        pod.annotations.insert(INGRESS_BANDWIDTH.to_owned(), "10M".to_owned());
        pod.ports = vec![
            PortMapping {
                protocol: Protocol::Udp,
                container_port: 53,
                host_port: 5353,
                host_ip: Some([127, 0, 0, 1].into()),
            },
            PortMapping { protocol: Protocol::Tcp, container_port: 80, host_port: 0, host_ip: None },
        ];
        let ours = Facts::new(&pod, HostPortOwner::Daemon).expect("plain").capabilities;
        assert_eq!(ours["bandwidth"], json!({"ingressRate": 10_000_000, "ingressBurst": BURST_BITS}));
        assert_eq!(ours["cgroupPath"], json!("/kubepods/pod1"));
        assert_eq!(ours["io.kubernetes.cri.pod-annotations"], json!({INGRESS_BANDWIDTH: "10M"}));
        assert!(!ours.contains_key("portMappings"));
        let theirs = Facts::new(&pod, HostPortOwner::Plugin).expect("plain").capabilities;
        assert_eq!(
            theirs["portMappings"],
            json!([{"hostPort": 5353, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1"}])
        );
    }

    #[test]
    fn impossible_bandwidths_are_refused() {
        for value in ["", "fast", "-1M", "999", "2P"] {
            let mut pod = pod(1);
            pod.annotations.insert(EGRESS_BANDWIDTH.to_owned(), value.to_owned());
            assert!(Facts::new(&pod, HostPortOwner::Daemon).is_err(), "{value:?}");
        }
    }
}
