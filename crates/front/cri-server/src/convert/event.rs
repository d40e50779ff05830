//! Events of containers and sandboxes.

use crio_cri_api::v1;
use crio_pods::ContainerEvent;
use crio_types::EventKind;

use super::status;

/// An event, with the pod as it is after it: kubelet replaces its cache entry by it.
pub(crate) fn encode(event: &ContainerEvent) -> v1::ContainerEventResponse {
    let kind = match event.kind {
        EventKind::Created => v1::ContainerEventType::ContainerCreatedEvent,
        EventKind::Started => v1::ContainerEventType::ContainerStartedEvent,
        EventKind::Stopped => v1::ContainerEventType::ContainerStoppedEvent,
        EventKind::Deleted => v1::ContainerEventType::ContainerDeletedEvent,
    };
    v1::ContainerEventResponse {
        container_id: event.container_id.clone(),
        container_event_type: kind.into(),
        created_at: event.created_at.0,
        pod_sandbox_status: Some(status::sandbox(&event.sandbox)),
        containers_statuses: event.containers.iter().map(|container| status::container(container)).collect(),
    }
}
