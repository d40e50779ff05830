//! Sandboxes and containers as lists and statuses show them.
//!
//! kubelet's client refuses answers without id, metadata, creation time, image or image reference; the domain types
//! always carry them. Times that have not come are zero.

use crio_cri_api::v1;
use crio_types::{
    ContainerMetadata, ContainerState, ContainerStatus, ContainerUser, SandboxMetadata, SandboxState, SandboxStatus,
};

use super::{image, mount, namespace, resources, signal};

pub(crate) fn sandbox_metadata(metadata: &SandboxMetadata) -> v1::PodSandboxMetadata {
    v1::PodSandboxMetadata {
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        namespace: metadata.namespace.clone(),
        attempt: metadata.attempt,
    }
}

pub(crate) fn container_metadata(metadata: &ContainerMetadata) -> v1::ContainerMetadata {
    v1::ContainerMetadata { name: metadata.name.clone(), attempt: metadata.attempt }
}

fn sandbox_state(state: SandboxState) -> v1::PodSandboxState {
    match state {
        SandboxState::Ready => v1::PodSandboxState::SandboxReady,
        SandboxState::NotReady => v1::PodSandboxState::SandboxNotready,
    }
}

fn container_state(state: ContainerState) -> v1::ContainerState {
    match state {
        ContainerState::Created => v1::ContainerState::ContainerCreated,
        ContainerState::Running => v1::ContainerState::ContainerRunning,
        ContainerState::Exited => v1::ContainerState::ContainerExited,
        ContainerState::Unknown => v1::ContainerState::ContainerUnknown,
    }
}

/// A sandbox in a list.
pub(crate) fn sandbox_item(sandbox: &SandboxStatus) -> v1::PodSandbox {
    v1::PodSandbox {
        id: sandbox.id.to_string(),
        metadata: Some(sandbox_metadata(&sandbox.metadata)),
        state: sandbox_state(sandbox.state).into(),
        created_at: sandbox.created_at.0,
        labels: sandbox.labels.clone(),
        annotations: sandbox.annotations.clone(),
        runtime_handler: sandbox.runtime_handler.clone(),
    }
}

/// A sandbox's status.
pub(crate) fn sandbox(sandbox: &SandboxStatus) -> v1::PodSandboxStatus {
    let mut ips = sandbox.ips.iter().map(ToString::to_string);
    let network = v1::PodSandboxNetworkStatus {
        ip: ips.next().unwrap_or_default(),
        additional_ips: ips.map(|ip| v1::PodIp { ip }).collect(),
    };
    let namespaces = v1::Namespace { options: Some(namespace::encode(&sandbox.namespaces)) };
    v1::PodSandboxStatus {
        id: sandbox.id.to_string(),
        metadata: Some(sandbox_metadata(&sandbox.metadata)),
        state: sandbox_state(sandbox.state).into(),
        created_at: sandbox.created_at.0,
        network: Some(network),
        linux: Some(v1::LinuxPodSandboxStatus { namespaces: Some(namespaces) }),
        labels: sandbox.labels.clone(),
        annotations: sandbox.annotations.clone(),
        runtime_handler: sandbox.runtime_handler.clone(),
    }
}

/// A container in a list.
pub(crate) fn container_item(container: &ContainerStatus) -> v1::Container {
    v1::Container {
        id: container.id.to_string(),
        pod_sandbox_id: container.sandbox_id.to_string(),
        metadata: Some(container_metadata(&container.metadata)),
        image: Some(image::encode_spec(&container.image)),
        image_ref: container.image_ref.clone(),
        state: container_state(container.state).into(),
        created_at: container.created_at.0,
        labels: container.labels.clone(),
        annotations: container.annotations.clone(),
        image_id: container.image_id.to_string(),
    }
}

/// A container's status.
pub(crate) fn container(container: &ContainerStatus) -> v1::ContainerStatus {
    let resources = v1::ContainerResources { linux: Some(resources::encode(&container.resources)), windows: None };
    v1::ContainerStatus {
        id: container.id.to_string(),
        metadata: Some(container_metadata(&container.metadata)),
        state: container_state(container.state).into(),
        created_at: container.created_at.0,
        started_at: container.started_at.0,
        finished_at: container.finished_at.0,
        exit_code: container.exit_code,
        image: Some(image::encode_spec(&container.image)),
        image_ref: container.image_ref.clone(),
        reason: container.reason.as_ref().map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
        message: container.message.clone(),
        labels: container.labels.clone(),
        annotations: container.annotations.clone(),
        mounts: container.mounts.iter().map(mount::encode).collect(),
        log_path: container.log_path.clone(),
        resources: Some(resources),
        image_id: container.image_id.to_string(),
        user: container.user.as_ref().map(user),
        stop_signal: signal::encode(container.stop_signal).into(),
    }
}

fn user(user: &ContainerUser) -> v1::ContainerUser {
    v1::ContainerUser {
        linux: Some(v1::LinuxContainerUser {
            uid: user.uid.into(),
            gid: user.gid.into(),
            supplemental_groups: user.groups.iter().map(|group| i64::from(*group)).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use crio_types::{
        ContainerId, ExitReason, ImageSpec, NamespaceMode, NamespaceOptions, SandboxId, Signal, Timestamp,
    };

    use super::*;

    fn status(state: ContainerState, reason: Option<ExitReason>) -> ContainerStatus {
        ContainerStatus {
            id: ContainerId::from_bytes([1; 32]),
            sandbox_id: SandboxId::from_bytes([2; 32]),
            metadata: ContainerMetadata::default(),
            state,
            created_at: Timestamp(5),
            started_at: Timestamp::NEVER,
            finished_at: Timestamp::NEVER,
            exit_code: 0,
            reason,
            message: String::new(),
            image: ImageSpec::default(),
            image_ref: "docker.io/library/busybox@sha256:00".to_owned(),
            image_id: crio_types::ImageId::from_bytes([3; 32]),
            labels: crio_types::Labels::new(),
            annotations: crio_types::Labels::new(),
            mounts: Vec::new(),
            log_path: String::new(),
            resources: crio_types::Resources::default(),
            user: Some(ContainerUser { uid: 1000, gid: 1000, groups: vec![1000, 1234] }),
            stop_signal: Signal::TERM,
        }
    }

    #[test]
    fn a_container_shows_what_clients_require() {
        let shown = container(&status(ContainerState::Exited, Some(ExitReason::OomKilled)));
        assert_eq!(shown.id, "01".repeat(32));
        assert_eq!((shown.created_at, shown.started_at, shown.finished_at), (5, 0, 0));
        assert_eq!((shown.state(), shown.reason.as_str()), (v1::ContainerState::ContainerExited, "OOMKilled"));
        assert_eq!(shown.image_id, "03".repeat(32));
        assert_eq!(shown.stop_signal(), v1::Signal::Sigterm);
        let user = shown.user.and_then(|user| user.linux).expect("known");
        assert_eq!((user.uid, user.gid, user.supplemental_groups), (1000, 1000, vec![1000, 1234]));
        assert!(shown.resources.is_some_and(|resources| resources.linux.is_some()));

        let running = container(&status(ContainerState::Running, None));
        assert_eq!(running.reason, "");
    }

    #[test]
    fn a_sandbox_shows_its_first_address_and_the_others() {
        let mut pod = SandboxStatus {
            id: SandboxId::from_bytes([2; 32]),
            metadata: SandboxMetadata::default(),
            state: SandboxState::Ready,
            created_at: Timestamp(5),
            ips: vec!["10.0.0.2".parse().expect("address"), "fd00::2".parse().expect("address")],
            namespaces: NamespaceOptions { network: NamespaceMode::Pod, ..Default::default() },
            labels: crio_types::Labels::new(),
            annotations: crio_types::Labels::new(),
            runtime_handler: "crun".to_owned(),
        };
        let network = sandbox(&pod).network.expect("always there");
        assert_eq!(network.ip, "10.0.0.2");
        assert_eq!(network.additional_ips, [v1::PodIp { ip: "fd00::2".to_owned() }]);

        pod.ips.clear();
        let shown = sandbox(&pod);
        assert_eq!(shown.network, Some(v1::PodSandboxNetworkStatus::default()));
        assert_eq!(shown.runtime_handler, "crun");
    }
}
