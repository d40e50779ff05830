//! Removes what a run made. Sandboxes are found by their label, so nothing has to be remembered.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use crio_cri_api::v1;

use crate::client::{Cri, request};
use crate::pod::RUN_LABEL;

/// Stopping may fail once, for example while the sandbox is still being made for a client that left.
const ATTEMPTS: usize = 5;

/// Removes everything of this run.
pub(crate) async fn run(cri: &Cri, run_id: &str) -> Result<()> {
    let filter = v1::PodSandboxFilter {
        label_selector: BTreeMap::from([(RUN_LABEL.to_owned(), run_id.to_owned())]),
        ..Default::default()
    };
    remove_all(cri, filter).await
}

/// Removes everything of any run.
pub(crate) async fn sweep(cri: &Cri) -> Result<()> {
    remove_all(cri, v1::PodSandboxFilter::default()).await
}

async fn remove_all(cri: &Cri, filter: v1::PodSandboxFilter) -> Result<()> {
    let mut failures = Vec::new();
    for _ in 0..ATTEMPTS {
        failures.clear();
        for id in ours(cri, filter.clone()).await? {
            failures.extend(kill_containers(cri, &id).await.err().map(|error| format!("{id}: {error:#}")));
            for outcome in [cri.stop_pod_sandbox(&id).await, cri.remove_pod_sandbox(&id).await] {
                failures.extend(outcome.err().map(|error| format!("{id}: {error:#}")));
            }
        }
        if failures.is_empty() && ours(cri, filter.clone()).await?.is_empty() {
            return Ok(());
        }
    }
    bail!("sandboxes of the benchmark are left; --sweep removes them. {}", failures.join("; "));
}

/// Stopping a sandbox may give its containers all the time the call has; these processes need none.
async fn kill_containers(cri: &Cri, sandbox: &str) -> Result<()> {
    let filter = v1::ContainerFilter { pod_sandbox_id: sandbox.to_owned(), ..Default::default() };
    let message = v1::ListContainersRequest { filter: Some(filter) };
    let list = cri.runtime.clone().list_containers(request(message)).await.context("ListContainers")?;
    for container in list.into_inner().containers {
        cri.stop_container(&container.id, 0).await?;
    }
    Ok(())
}

async fn ours(cri: &Cri, filter: v1::PodSandboxFilter) -> Result<Vec<String>> {
    let message = v1::ListPodSandboxRequest { filter: Some(filter) };
    let list = cri.runtime.clone().list_pod_sandbox(request(message)).await.context("listing what is left")?;
    let ours = list.into_inner().items.into_iter().filter(|sandbox| sandbox.labels.contains_key(RUN_LABEL));
    Ok(ours.map(|sandbox| sandbox.id).collect())
}
