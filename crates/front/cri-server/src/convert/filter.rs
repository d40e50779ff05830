//! What a list asks for. An id may be a prefix; an unknown one selects nothing and is no error.

use crio_cri_api::v1;
use crio_pods::{ContainerFilter, SandboxFilter};
use crio_types::{ContainerState, SandboxState};

use super::field::{DecodeError, known};

/// Which sandboxes to list.
pub(crate) fn sandboxes(filter: Option<v1::PodSandboxFilter>) -> Result<SandboxFilter, DecodeError> {
    let filter = filter.unwrap_or_default();
    let state = match filter.state {
        None => None,
        Some(value) => Some(match known("filter.state", value.state)? {
            v1::PodSandboxState::SandboxReady => SandboxState::Ready,
            v1::PodSandboxState::SandboxNotready => SandboxState::NotReady,
        }),
    };
    let (id, labels) = (filter.id, filter.label_selector);
    Ok(SandboxFilter { id, state, labels })
}

/// Which containers to list.
pub(crate) fn containers(filter: Option<v1::ContainerFilter>) -> Result<ContainerFilter, DecodeError> {
    let filter = filter.unwrap_or_default();
    let state = match filter.state {
        None => None,
        Some(value) => Some(match known("filter.state", value.state)? {
            v1::ContainerState::ContainerCreated => ContainerState::Created,
            v1::ContainerState::ContainerRunning => ContainerState::Running,
            v1::ContainerState::ContainerExited => ContainerState::Exited,
            v1::ContainerState::ContainerUnknown => ContainerState::Unknown,
        }),
    };
    Ok(ContainerFilter { id: filter.id, sandbox_id: filter.pod_sandbox_id, state, labels: filter.label_selector })
}

/// Which containers' use to list.
pub(crate) fn container_stats(filter: Option<v1::ContainerStatsFilter>) -> ContainerFilter {
    let filter = filter.unwrap_or_default();
    ContainerFilter { id: filter.id, sandbox_id: filter.pod_sandbox_id, state: None, labels: filter.label_selector }
}

/// Which sandboxes' use to list.
pub(crate) fn sandbox_stats(filter: Option<v1::PodSandboxStatsFilter>) -> SandboxFilter {
    let filter = filter.unwrap_or_default();
    SandboxFilter { id: filter.id, state: None, labels: filter.label_selector }
}
