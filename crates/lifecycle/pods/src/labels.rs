//! The labels by which Kubernetes tools find a pod's objects, for clients that are not kubelet and leave them out.

use crio_types::{ContainerConfig, Labels, SandboxConfig, SandboxMetadata};

const POD_NAME: &str = "io.kubernetes.pod.name";
const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD_UID: &str = "io.kubernetes.pod.uid";
const CONTAINER_NAME: &str = "io.kubernetes.container.name";

/// The request with the pod's labels filled in where they are missing, as CRI-O does.
pub(crate) fn with_pod_labels(mut config: SandboxConfig) -> SandboxConfig {
    add_pod(&mut config.labels, &config.metadata);
    config
}

/// The request with the container's labels filled in where they are missing.
pub(crate) fn with_container_labels(mut config: ContainerConfig, pod: &SandboxMetadata) -> ContainerConfig {
    add_pod(&mut config.labels, pod);
    add(&mut config.labels, CONTAINER_NAME, &config.metadata.name);
    config
}

fn add_pod(labels: &mut Labels, pod: &SandboxMetadata) {
    for (key, value) in [(POD_NAME, &pod.name), (POD_NAMESPACE, &pod.namespace), (POD_UID, &pod.uid)] {
        add(labels, key, value);
    }
}

fn add(labels: &mut Labels, key: &str, value: &str) {
    labels.entry(key.to_owned()).or_insert_with(|| value.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_request_says_stays() {
        let pod = SandboxMetadata { name: "web".into(), uid: "u".into(), namespace: "shop".into(), attempt: 0 };
        let labels: Labels = [(POD_NAME.to_owned(), "other".to_owned())].into();
        let config = with_pod_labels(SandboxConfig { metadata: pod.clone(), labels, ..SandboxConfig::default() });
        assert_eq!(config.labels[POD_NAME], "other");
        assert_eq!(config.labels[POD_NAMESPACE], "shop");
        let mut container = ContainerConfig::default();
        container.metadata.name = "nginx".into();
        assert_eq!(with_container_labels(container, &pod).labels[CONTAINER_NAME], "nginx");
    }
}
