//! RemoveContainer: ended, unmounted, forgotten.

use std::sync::Arc;

use crio_runtime::{Handler, Monitor};
use crio_types::{ContainerId, ContainerState, EventKind};
use tokio::time::Instant;

use crate::container::stop::stop_container;
use crate::container::{Container, image_volume, mapped};
use crate::context::Context;
use crate::record::ContainerRecord;
use crate::sandbox::Sandbox;
use crate::sandbox::release::cgroup_path;
use crate::{KILL_TIMEOUT, Outcome, PodError};

/// Removes a container, or joins whoever does; one that runs is killed first. On a failure it stays listed, so that
/// the caller can try again.
pub(crate) async fn remove_container(context: &Arc<Context>, container: &Arc<Container>) -> Outcome<()> {
    let id = container.id().as_str();
    context.operations.removals.join(id, (), || remove(Arc::clone(context), Arc::clone(container))).await
}

async fn remove(context: Arc<Context>, container: Arc<Container>) -> Result<(), PodError> {
    let sandbox = Arc::clone(container.sandbox());
    if container.state() != ContainerState::Exited {
        stop_container(&context, &container, Instant::now()).await?;
    }
    let monitor = sandbox.monitor();
    let runtime = RuntimeState::of(&sandbox, monitor.as_deref());
    let failures = release_container(&context, &container.record(), runtime).await;
    PodError::teardown(format!("container {}", container.id()), failures)?;
    container.forget()?;
    context.engines.stats.remove_container(container.id());
    sandbox.dismiss(container.id());
    context.index.remove_container(&container);
    context.container_event(&container, EventKind::Deleted);
    Ok(())
}

/// Lets the monitor forget a container, which ends with the OCI runtime's own clean-up. Without a monitor the pod was
/// released before, and this was done then.
pub(crate) async fn forget_in_monitor(container: &Container, monitor: Option<&Monitor>) -> Result<(), PodError> {
    let Some(monitor) = monitor else { return Ok(()) };
    let removed = monitor.remove(container.id()).await;
    removed.map_err(PodError::step("letting the runtime clean up", format!("container {}", container.id())))
}

/// What becomes of what the OCI runtime itself keeps of a container.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RuntimeState<'a> {
    /// The pod's monitor has it deleted.
    Monitored(&'a Monitor),
    /// The monitor is gone without that, so the runtime is asked from here.
    Abandoned(&'a Handler),
    /// It was deleted when the pod was released.
    Deleted,
}

impl<'a> RuntimeState<'a> {
    /// As it is in this sandbox, whose monitor is `monitor`.
    pub(crate) fn of(sandbox: &'a Sandbox, monitor: Option<&'a Monitor>) -> Self {
        match monitor {
            Some(monitor) => Self::Monitored(monitor),
            None if sandbox.is_released() => Self::Deleted,
            None => Self::Abandoned(sandbox.handler()),
        }
    }

    /// Has it deleted.
    pub(crate) async fn delete(self, id: &ContainerId) -> Result<(), PodError> {
        const DOING: &str = "letting the runtime clean up";
        let of = format!("container {id}");
        match self {
            Self::Monitored(monitor) => monitor.remove(id).await.map_err(PodError::step(DOING, of)),
            Self::Abandoned(handler) => handler.delete_forced(id).await.map_err(PodError::step(DOING, of)),
            Self::Deleted => Ok(()),
        }
    }
}

/// Gives back what a container holds: its processes, the runtime's state, its root file system. Works from the record
/// alone; every step runs and accepts that there is nothing to do.
pub(crate) async fn release_container(
    context: &Context,
    record: &ContainerRecord,
    runtime: RuntimeState<'_>,
) -> Vec<PodError> {
    let mut failures = Vec::new();
    let of = format!("container {}", record.id);
    failures.extend(runtime.delete(&record.id).await.err());
    let (cgroups, store) = (Arc::clone(&context.engines.cgroups), context.engines.store.clone());
    let state_dir = context.config.state_dir.clone();
    let record = record.clone();
    let blocking = context.blocking("RemoveContainer", move || {
        let mut failures = Vec::new();
        let cgroup = cgroup_path(&record.cgroup).and_then(|path| {
            cgroups.kill(&path, KILL_TIMEOUT).map_err(PodError::step("ending the processes", &of))?;
            cgroups.remove(&path, KILL_TIMEOUT).map_err(PodError::step("removing the cgroup", &of))
        });
        failures.extend(cgroup.err());
        failures.extend(mapped::release(&state_dir, &record.id).err());
        let volumes = record.image_volumes.iter();
        failures.extend(volumes.filter_map(|volume| image_volume::release(&store, volume, &record.id).err()));
        failures.extend(store.delete_container(&record.id).map_err(PodError::step("removing the root", &of)).err());
        PodError::teardown(&of, failures)
    });
    failures.extend(blocking.await.err());
    failures
}
