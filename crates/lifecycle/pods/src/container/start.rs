//! StartContainer: the prepared process is let go, or those of a checkpoint are restored.

use std::sync::Arc;

use crio_runtime::Monitor;
use crio_types::{Classified, ContainerState, ErrorKind, EventKind, Timestamp};

use crate::container::{Container, Exit, restore};
use crate::context::Context;
use crate::recover::reconcile;
use crate::watch::kill_all;
use crate::{Outcome, PodError};

/// The exit code of a container whose program could not be run, as shells use it.
const CANNOT_RUN: i32 = 128;

/// Starts a container, or joins whoever is starting it.
pub(crate) async fn start_container(context: &Arc<Context>, container: &Arc<Container>) -> Outcome<()> {
    let id = container.id().as_str();
    context.operations.starts.join(id, (), || start(Arc::clone(context), Arc::clone(container))).await
}

async fn start(context: Arc<Context>, container: Arc<Container>) -> Result<(), PodError> {
    let state = container.state();
    if state != ContainerState::Created {
        return Err(PodError::WrongState { operation: "start", id: container.id().to_string(), state });
    }
    let monitor = container.sandbox().need_monitor()?;
    // Taken before, so that a short run does not end before it began.
    let at = Timestamp::now();
    let _starting = container.begin_start();
    let Err((error, is_known)) = let_go(&context, &container, &monitor).await else {
        if container.started(at)? {
            context.container_event(&container, EventKind::Started);
        }
        return Ok(());
    };
    if is_known {
        // The monitor knows of something that we do not: a start of an earlier daemon, or an end.
        reconcile(&context, container.sandbox(), &monitor).await?;
        return if container.state() == ContainerState::Running { Ok(()) } else { Err(error) };
    }
    Err(failed(&context, &container, error).await)
}

/// Lets the process go. With an error comes whether the monitor refused because of what it knows.
async fn let_go(context: &Arc<Context>, container: &Container, monitor: &Monitor) -> Result<(), (PodError, bool)> {
    if let Some(directory) = container.record().awaits_restore {
        let restored = restore::restore(context, container, &directory).await;
        return restored.map_err(|error| {
            let is_known = error.is_known();
            (error.into_pod_error(container), is_known)
        });
    }
    monitor.start(container.id()).await.map_err(|error| {
        let is_known = error.kind() == ErrorKind::FailedPrecondition;
        (PodError::step("starting the process", format!("container {}", container.id()))(error), is_known)
    })
}

/// A container that could not be started has ended: kubelet shows why, and makes another. Whatever the runtime may have
/// left of it is killed. The answer is the error, with what could not be done about it.
async fn failed(context: &Context, container: &Container, error: PodError) -> PodError {
    let message = crio_types::chain(&error);
    let exit = Exit { code: CANNOT_RUN, finished_at: Timestamp::now(), oom_killed: false, message };
    let recorded = container.start_failed(&exit);
    context.engines.stats.container_ended(container.id());
    if !matches!(recorded, Ok(false)) {
        context.container_event(container, EventKind::Stopped);
    }
    let failures: Vec<PodError> = recorded.err().into_iter().chain(kill_all(context, container).await.err()).collect();
    if failures.is_empty() {
        return error;
    }
    let failures = std::iter::once(error).chain(failures).collect();
    PodError::Teardown { of: format!("container {} that could not be started", container.id()), failures }
}
