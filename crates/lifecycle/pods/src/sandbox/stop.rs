//! StopPodSandbox: no new containers, the running ones ended, everything the pod held given back.
//!
//! May be called again and again: what is done stays done, what failed is tried again. A pod whose release failed is
//! not ready and stays listed, so that kubelet comes back to it.

use std::sync::Arc;
use std::time::Duration;

use crio_types::EventKind;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::container::remove;
use crate::container::stop::stop_container;
use crate::context::Context;
use crate::sandbox::{Sandbox, release};
use crate::{Outcome, PodError};

/// The grace containers get when their pod is stopped under them, as in CRI-O.
const GRACE: Duration = Duration::from_secs(10);
/// Part of the caller's deadline that is kept for everything after the containers ended.
const RESERVED: Duration = Duration::from_secs(1);

/// The grace containers get when their pod is stopped by a caller who waits this long. Kubelet has stopped them before,
/// with their own grace, so this is for those who did not.
pub(crate) fn grace(deadline: Option<Duration>) -> Duration {
    deadline.map_or(GRACE, |remaining| remaining.saturating_sub(RESERVED)).min(GRACE)
}

/// Stops the pod, or joins whoever is stopping it; a shorter grace shortens a running stop.
pub(crate) async fn stop_sandbox(context: &Arc<Context>, sandbox: &Arc<Sandbox>, grace: Duration) -> Outcome<()> {
    for container in sandbox.containers() {
        container.kill_by(Instant::now() + grace);
    }
    let (id, stops) = (sandbox.id().as_str(), &context.operations.sandbox_stops);
    stops.join(id, (), || stop(Arc::clone(context), Arc::clone(sandbox), grace)).await
}

async fn stop(context: Arc<Context>, sandbox: Arc<Sandbox>, grace: Duration) -> Result<(), PodError> {
    // A full /run must not keep a pod alive: what counts here is memory, and the last write tells all.
    let written = sandbox.leave_ready();
    sandbox.creations_done().await?;
    PodError::teardown(format!("pod sandbox {}", sandbox.id()), end_containers(&context, &sandbox, grace).await)?;
    let record = sandbox.record();
    if record.released {
        return written.map(drop);
    }
    let failures = release::release(&context, &record, sandbox.directory(), sandbox.take_monitor()).await;
    PodError::teardown(format!("pod sandbox {}", sandbox.id()), failures)?;
    record.infra.as_ref().inspect(|infra| sandbox.dismiss(infra));
    context.engines.stats.remove_sandbox(sandbox.id());
    sandbox.change(|record| record.released = true)?;
    context.sandbox_event(&sandbox, EventKind::Stopped);
    Ok(())
}

/// Ends all containers at once and lets the monitor forget them, for it ends with the pod.
async fn end_containers(context: &Arc<Context>, sandbox: &Sandbox, grace: Duration) -> Vec<PodError> {
    let mut stops = JoinSet::new();
    for container in sandbox.containers() {
        let context = Arc::clone(context);
        stops.spawn(async move {
            stop_container(&context, &container, Instant::now() + grace).await?;
            remove::forget_in_monitor(&container, container.sandbox().monitor().as_deref()).await
        });
    }
    let mut failures = Vec::new();
    while let Some(ended) = stops.join_next().await {
        let ended = ended.unwrap_or(Err(PodError::Interrupted { operation: "StopContainer" }));
        failures.extend(ended.err());
    }
    failures
}
