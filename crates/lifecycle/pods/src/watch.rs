//! What a pod's monitor tells, turned into state: one task a pod, from its creation to its release.
//!
//! Exits arrive here and nowhere else, so each is recorded, published and told once. A monitor that dies took its pod's
//! stdio with it: what is left of the pod's processes is ended and their ends are recorded as far as they are known.

use std::sync::Arc;

use crio_runtime::{Monitor, MonitorEvent};
use crio_types::{ContainerId, ContainerState, EventKind, Timestamp};
use tokio::sync::broadcast::{self, error::RecvError};
use tracing::{error, warn};

use crate::container::{Container, Exit};
use crate::context::Context;
use crate::recover::reconcile;
use crate::sandbox::Sandbox;
use crate::sandbox::release::cgroup_path;
use crate::{KILL_TIMEOUT, PodError};

/// The exit code of a container that was killed because its monitor died.
const KILLED: i32 = 137;

/// Begins watching. Called before the first container is made, so that no exit is missed.
pub(crate) fn begin(context: &Arc<Context>, sandbox: &Arc<Sandbox>, monitor: &Monitor) {
    let events = monitor.events();
    let task = watch(Arc::clone(context), Arc::clone(sandbox), monitor.clone(), events);
    context.watchers.spawn(context.shutdown.clone().run_until_cancelled_owned(task));
}

async fn watch(
    context: Arc<Context>,
    sandbox: Arc<Sandbox>,
    monitor: Monitor,
    mut events: broadcast::Receiver<MonitorEvent>,
) {
    loop {
        // What the monitor told before it went is heard first. The handle held here keeps the channel open, so it is
        // the monitor's death that ends this.
        let told = tokio::select! {
            biased;
            told = events.recv() => told,
            () = monitor.died() => break,
        };
        match told {
            Ok(MonitorEvent::Exited { id, exit }) => on_exit(&context, &sandbox, &id, exit).await,
            Err(RecvError::Lagged(_)) => catch_up(&context, &sandbox, &monitor).await,
            Err(RecvError::Closed) => break,
        }
    }
    while let Ok(MonitorEvent::Exited { id, exit }) = events.try_recv() {
        on_exit(&context, &sandbox, &id, exit).await;
    }
    // Whoever ends a monitor on purpose takes it out first.
    if sandbox.take_monitor().is_some() {
        on_monitor_death(&context, &sandbox).await;
    }
}

async fn on_exit(context: &Context, sandbox: &Sandbox, id: &ContainerId, exit: crio_runtime::Exit) {
    let exit = Exit::from(exit);
    if let Some(container) = sandbox.ended(id, &exit) {
        container.start_settled().await;
        record_exit(context, &container, &exit);
    }
}

/// After events were missed, the monitor's list says what they were.
async fn catch_up(context: &Context, sandbox: &Sandbox, monitor: &Monitor) {
    if let Err(failure) = reconcile(context, sandbox, monitor).await {
        error!(sandbox_id = %sandbox.id(), error = %crio_types::chain(&failure), "missed exits could not be caught up on");
    }
}

/// Records and tells an end.
pub(crate) fn record_exit(context: &Context, container: &Container, exit: &Exit) {
    context.engines.stats.container_ended(container.id());
    match container.ended(exit) {
        Ok(true) => context.container_event(container, EventKind::Stopped),
        Ok(false) => {}
        Err(failure) => {
            error!(container_id = %container.id(), error = %crio_types::chain(&failure), "an exit could not be written down");
            context.container_event(container, EventKind::Stopped);
        }
    }
    if container.is_infra() {
        no_longer_ready(context, container.sandbox());
    }
}

/// A pod that lost its pause container or its monitor takes nothing new; kubelet makes another.
pub(crate) fn no_longer_ready(context: &Context, sandbox: &Sandbox) {
    match sandbox.leave_ready() {
        Ok(true) => context.sandbox_event(sandbox, EventKind::Stopped),
        Ok(false) => {}
        Err(failure) => {
            error!(sandbox_id = %sandbox.id(), error = %crio_types::chain(&failure), "a pod's state could not be written down");
            context.sandbox_event(sandbox, EventKind::Stopped);
        }
    }
}

/// Without its monitor a container has no stdio and nobody to reap it, so it is ended.
async fn on_monitor_death(context: &Arc<Context>, sandbox: &Sandbox) {
    warn!(sandbox_id = %sandbox.id(), "the pod's monitor died; its containers are ended");
    no_longer_ready(context, sandbox);
    for container in sandbox.all_containers() {
        if container.state() == ContainerState::Exited {
            continue;
        }
        if let Err(failure) = end_unwatched(context, &container).await {
            error!(container_id = %container.id(), error = %crio_types::chain(&failure), "a container could not be ended");
        }
    }
}

/// Ends a container that no monitor watches any more. Its end is on record when this succeeds.
pub(crate) async fn end_unwatched(context: &Arc<Context>, container: &Container) -> Result<(), PodError> {
    kill_all(context, container).await?;
    let recorded = crio_runtime::read_exit_record(container.sandbox().directory().path(), container.id());
    // A record that cannot be read tells as much as none.
    let exit = recorded.ok().flatten().map_or_else(
        || Exit {
            code: KILLED,
            finished_at: Timestamp::now(),
            oom_killed: false,
            message: lost_because(container).to_owned(),
        },
        |record| Exit::from(record.exit),
    );
    record_exit(context, container, &exit);
    Ok(())
}

fn lost_because(container: &Container) -> &'static str {
    match container.record().awaits_restore {
        Some(_) => "the container was stopped before it was restored",
        None => "the pod's monitor died",
    }
}

/// Kills everything in a container's cgroup.
pub(crate) async fn kill_all(context: &Context, container: &Container) -> Result<(), PodError> {
    let cgroups = Arc::clone(&context.engines.cgroups);
    let record = container.record();
    let kill = move || {
        let path = cgroup_path(&record.cgroup)?;
        cgroups.kill(&path, KILL_TIMEOUT).map_err(PodError::step("ending the processes", &record.id))
    };
    context.blocking("ending a container", kill).await
}

impl From<crio_runtime::Exit> for Exit {
    fn from(exit: crio_runtime::Exit) -> Self {
        Self { code: exit.code, finished_at: exit.finished_at, oom_killed: exit.oom, message: String::new() }
    }
}
