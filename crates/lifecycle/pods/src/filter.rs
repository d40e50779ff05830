//! What a list asks for. An id in a filter may be a prefix, and one that matches nothing selects nothing.

use crio_types::{ContainerState, ContainerStatus, Labels, SandboxState, SandboxStatus, selects};

/// Which sandboxes to list; every set part must match.
#[derive(Debug, Clone, Default)]
pub struct SandboxFilter {
    /// Id or prefix of it; empty for any.
    pub id: String,
    /// State.
    pub state: Option<SandboxState>,
    /// Labels.
    pub labels: Labels,
}

/// Which containers to list; every set part must match.
#[derive(Debug, Clone, Default)]
pub struct ContainerFilter {
    /// Id or prefix of it; empty for any.
    pub id: String,
    /// Id of the sandbox, or prefix of it; empty for any.
    pub sandbox_id: String,
    /// State.
    pub state: Option<ContainerState>,
    /// Labels.
    pub labels: Labels,
}

impl SandboxFilter {
    /// Whether this sandbox is asked for.
    #[must_use]
    pub fn matches(&self, sandbox: &SandboxStatus) -> bool {
        sandbox.id.as_str().starts_with(&self.id)
            && self.state.is_none_or(|state| state == sandbox.state)
            && selects(&self.labels, &sandbox.labels)
    }
}

impl ContainerFilter {
    /// Whether this container is asked for.
    #[must_use]
    pub fn matches(&self, container: &ContainerStatus) -> bool {
        container.id.as_str().starts_with(&self.id)
            && container.sandbox_id.as_str().starts_with(&self.sandbox_id)
            && self.state.is_none_or(|state| state == container.state)
            && selects(&self.labels, &container.labels)
    }
}
