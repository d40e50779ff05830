//! RemovePodSandbox: stopped, emptied of its containers, forgotten.

use std::sync::Arc;
use std::time::Duration;

use crio_types::EventKind;
use tokio::task::JoinSet;

use crate::container::remove::remove_container;
use crate::context::Context;
use crate::sandbox::Sandbox;
use crate::sandbox::files;
use crate::sandbox::stop::stop_sandbox;
use crate::{Outcome, PodError};

/// Removes the pod with everything in it, or joins whoever does. On a failure it stays listed, so that the caller can
/// try again.
pub(crate) async fn remove_sandbox(context: &Arc<Context>, sandbox: &Arc<Sandbox>) -> Outcome<()> {
    let (id, removals) = (sandbox.id().as_str(), &context.operations.sandbox_removals);
    removals.join(id, (), || remove(Arc::clone(context), Arc::clone(sandbox))).await
}

async fn remove(context: Arc<Context>, sandbox: Arc<Sandbox>) -> Result<(), PodError> {
    stop_sandbox(&context, &sandbox, Duration::ZERO).await?;
    let mut removals = JoinSet::new();
    for container in sandbox.containers() {
        let context = Arc::clone(&context);
        removals.spawn(async move { remove_container(&context, &container).await });
    }
    let mut failures = Vec::new();
    while let Some(removed) = removals.join_next().await {
        let interrupted = || Err(Arc::new(PodError::Interrupted { operation: "RemoveContainer" }));
        failures.extend(removed.unwrap_or_else(|_| interrupted()).err().map(PodError::Joined));
    }
    PodError::teardown(format!("pod sandbox {}", sandbox.id()), failures)?;
    let (directory, record) = (sandbox.directory().clone(), sandbox.record());
    context.blocking("RemovePodSandbox", move || files::forget(&directory, &record)).await?;
    context.index.remove_sandbox(&sandbox);
    context.sandbox_event(&sandbox, EventKind::Deleted);
    Ok(())
}
