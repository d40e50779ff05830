//! UpdateContainerResources and ReopenContainerLog: changes to a container that goes on.

use std::sync::Arc;

use crio_types::{ContainerState, Resources};

use crate::container::{Container, specify};
use crate::context::Context;
use crate::sandbox::release::cgroup_path;
use crate::{Outcome, PodError};

/// Changes the limits: all of them or none. What `update` leaves unset stays as it is.
pub(crate) async fn update_resources(context: &Context, container: &Container, update: &Resources) -> Outcome<()> {
    let state = container.state();
    if !matches!(state, ContainerState::Created | ContainerState::Running) {
        let id = container.id().to_string();
        return Err(Arc::new(PodError::WrongState { operation: "update", id, state }));
    }
    let record = container.record();
    let wanted = record.resources.updated(update);
    check_memory(context, container, update, &record.cgroup)?;
    let of = format!("container {}", container.id());
    let host = specify::host_facts(context, container.sandbox());
    let limits = crio_spec::limits(Some(&wanted), 0, &host).map_err(PodError::step("translating the limits", &of))?;
    let monitor = container.sandbox().need_monitor()?;
    monitor.update(container.id(), &limits).await.map_err(PodError::step("updating the limits", &of))?;
    // Another update may have changed other limits meanwhile.
    container.change(|record| record.resources = record.resources.updated(update))?;
    Ok(())
}

/// A limit below what is in use would have the kernel kill something; kubelet tries again later.
fn check_memory(context: &Context, container: &Container, update: &Resources, cgroup: &str) -> Result<(), PodError> {
    let Ok(limit) = u64::try_from(update.memory_limit_bytes) else {
        return Ok(());
    };
    if limit == 0 {
        return Ok(());
    }
    let of = format!("container {}", container.id());
    let usage = context.engines.cgroups.memory_usage_bytes(&cgroup_path(cgroup)?);
    match usage.map_err(PodError::step("reading the memory in use", of))? {
        Some(in_use) if limit < in_use => {
            let reason = format!("{limit} bytes is below the {in_use} bytes in use");
            Err(PodError::InvalidConfig { field: "linux.memory_limit_in_bytes", reason })
        }
        _ => Ok(()),
    }
}

/// Opens the log anew. When this returns the file is there and no byte goes to the old one.
pub(crate) async fn reopen_log(container: &Container) -> Outcome<()> {
    if container.state() != ContainerState::Running {
        return Err(Arc::new(PodError::NotRunning { id: container.id().to_string() }));
    }
    let monitor = container.sandbox().need_monitor()?;
    let reopened = monitor.reopen_log(container.id()).await;
    Ok(reopened.map_err(PodError::step("reopening the log", format!("container {}", container.id())))?)
}
