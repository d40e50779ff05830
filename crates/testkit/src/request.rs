//! Requests as kubelet makes them, with everything left out that a test does not care about.
//!
//! The messages are the generated ones: a test changes the fields it is about.

use std::path::Path;

use crio_cri_api::v1::{self, ContainerConfig, PodSandboxConfig};

/// An image by name.
#[must_use]
pub fn image_spec(image: &str) -> v1::ImageSpec {
    v1::ImageSpec { image: image.to_owned(), user_specified_image: image.to_owned(), ..Default::default() }
}

/// A container that runs a command, with a log of its own.
#[must_use]
pub fn container(name: &str, image: &str, command: &[&str]) -> ContainerConfig {
    ContainerConfig {
        metadata: Some(v1::ContainerMetadata { name: name.to_owned(), attempt: 0 }),
        image: Some(image_spec(image)),
        command: words(command),
        log_path: format!("{name}/0.log"),
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(v1::LinuxContainerResources::default()),
            security_context: Some(v1::LinuxContainerSecurityContext {
                namespace_options: Some(namespaces()),
                ..Default::default()
            }),
        }),
        ..Default::default()
    }
}

/// A container that runs a shell script.
#[must_use]
pub fn shell(name: &str, image: &str, script: &str) -> ContainerConfig {
    container(name, image, &["/bin/sh", "-c", script])
}

/// A pod of the namespace `test`.
#[must_use]
pub fn pod(name: &str, log_directory: &Path, cgroup_parent: &str) -> PodSandboxConfig {
    PodSandboxConfig {
        metadata: Some(v1::PodSandboxMetadata {
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            namespace: "test".to_owned(),
            attempt: 0,
        }),
        hostname: name.to_owned(),
        log_directory: log_directory.join(name).to_string_lossy().into_owned(),
        dns_config: Some(v1::DnsConfig { servers: words(&["127.0.0.1"]), ..Default::default() }),
        labels: [("app", name)].map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        linux: Some(v1::LinuxPodSandboxConfig {
            cgroup_parent: cgroup_parent.to_owned(),
            security_context: Some(v1::LinuxSandboxSecurityContext {
                namespace_options: Some(namespaces()),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// As kubelet asks for by default: a pid namespace for each container, the rest shared by the pod.
fn namespaces() -> v1::NamespaceOption {
    v1::NamespaceOption { pid: v1::NamespaceMode::Container.into(), ..Default::default() }
}

pub(crate) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
