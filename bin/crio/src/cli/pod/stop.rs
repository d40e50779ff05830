//! Stopping and removing pods.

use std::time::Duration;

use anyhow::{Result, bail};
use crio_cri_api::v1;
use tokio::task::JoinSet;

use super::super::client::{Client, OPERATION, failed, within};
use super::super::output;
use super::directory::PodDirectory;
use super::finish;

pub async fn stop(client: &mut Client, wanted: &str, timeout_seconds: Option<u32>) -> Result<()> {
    let sandbox = client.sandbox(wanted).await?;
    if let Some(seconds) = timeout_seconds {
        stop_containers(client, &sandbox.id, seconds).await?;
    }
    stop_id(client, &sandbox.id).await?;
    output::print_line(&sandbox.id)
}

/// Stops the running containers of a sandbox side by side, as kubelet does before it stops the sandbox.
async fn stop_containers(client: &mut Client, sandbox: &str, timeout_seconds: u32) -> Result<()> {
    let running = client.containers().await?.into_iter().filter(|container| {
        container.pod_sandbox_id == sandbox && container.state() == v1::ContainerState::ContainerRunning
    });
    let mut stops = JoinSet::new();
    for container in running {
        let mut runtime = client.runtime.clone();
        stops.spawn(async move {
            let request =
                v1::StopContainerRequest { container_id: container.id.clone(), timeout: timeout_seconds.into() };
            let deadline = OPERATION + Duration::from_secs(timeout_seconds.into());
            let answer = runtime.stop_container(within(deadline, request)).await;
            answer.map_err(failed(format!("cannot stop container {}", container.id)))
        });
    }
    let failures: Vec<anyhow::Error> = stops.join_all().await.into_iter().filter_map(Result::err).collect();
    finish(&failures)
}

pub async fn stop_id(client: &mut Client, id: &str) -> Result<()> {
    let request = v1::StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
    let answer = client.runtime.stop_pod_sandbox(within(OPERATION, request)).await;
    answer.map_err(failed(format!("cannot stop pod {id}")))?;
    Ok(())
}

/// What to do with a pod that still runs.
#[derive(Debug, Clone, Copy)]
pub enum Running {
    /// Leave it.
    Refuse,
    /// Stop it, within so many seconds.
    Stop(Option<u32>),
}

pub async fn remove(client: &mut Client, wanted: &str, running: Running) -> Result<()> {
    let sandbox = client.sandbox(wanted).await?;
    match (sandbox.state(), running) {
        (v1::PodSandboxState::SandboxNotready, _) => {}
        (v1::PodSandboxState::SandboxReady, Running::Refuse) => {
            bail!("pod {wanted} is running; stop it first, or use --force");
        }
        (v1::PodSandboxState::SandboxReady, Running::Stop(timeout_seconds)) => {
            if let Some(seconds) = timeout_seconds {
                stop_containers(client, &sandbox.id, seconds).await?;
            }
            stop_id(client, &sandbox.id).await?;
        }
    }
    remove_id(client, &sandbox.id).await?;
    if let Some(directory) = PodDirectory::of_sandbox(&sandbox) {
        directory.remove()?;
    }
    output::print_line(&sandbox.id)
}

pub async fn remove_id(client: &mut Client, id: &str) -> Result<()> {
    let request = v1::RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
    let answer = client.runtime.remove_pod_sandbox(within(OPERATION, request)).await;
    answer.map_err(failed(format!("cannot remove pod {id}")))?;
    Ok(())
}
