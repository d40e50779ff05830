//! A pod's monitor killed: its containers are ended and told so, its pod can be removed, and other pods know nothing of it.

use std::fs;

use anyhow::Result;
use crio_cri_api::v1::{ContainerState, PodSandboxState};
use crio_tests::{PATIENCE, Stage, monitor_of, refused, until};
use rustix::process::{Signal, kill_process};
use tonic::Code;

async fn ended(stage: &Stage, id: &str) -> Result<()> {
    let status = stage.cri.wait(id, ContainerState::ContainerExited, PATIENCE).await?;
    assert_ne!(status.exit_code, 0, "{status:?}");
    assert!(!status.message.is_empty(), "{status:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_its_monitor_is_over() -> Result<()> {
    let stage = Stage::set().await?;
    let (pod, other) = (stage.pod("orphan").await?, stage.pod("other").await?);
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let created = stage.cri.create(&pod.id, &pod.config, &stage.shell("created", "true")).await?;
    let unharmed = stage.start(&other, &stage.shell("main", "sleep 1000")).await?;
    let process = stage.process(&id).await?;
    kill_process(monitor_of(&pod.id)?, Signal::KILL)?;
    ended(&stage, &id).await?;
    ended(&stage, &created).await?;
    until("its processes are gone", async || Ok((!fs::exists(format!("/proc/{process}/exe"))?).then_some(()))).await?;
    until("the pod is not ready", async || {
        let state = stage.cri.pod_status(&pod.id).await?.state();
        Ok((state == PodSandboxState::SandboxNotready).then_some(()))
    })
    .await?;
    refused(stage.cri.exec(&id, &["true"], PATIENCE).await, Code::NotFound, &[&id])?;
    let answer = stage.cri.create(&pod.id, &pod.config, &stage.shell("late", "true")).await;
    refused(answer, Code::FailedPrecondition, &[&pod.id])?;
    stage.cri.remove(&created).await?;
    stage.cri.stop_pod(&pod.id).await?;
    stage.cri.remove_pod(&pod.id).await?;
    assert_eq!(stage.exec(&unharmed, "echo fine").await?, "fine\n");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_that_died_with_the_daemon_is_noticed() -> Result<()> {
    let mut stage = Stage::set().await?;
    let pod = stage.pod("orphan").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let process = stage.process(&id).await?;
    stage.node.kill()?;
    kill_process(monitor_of(&pod.id)?, Signal::KILL)?;
    stage.node.start_daemon().await?;
    stage.reconnect().await?;
    ended(&stage, &id).await?;
    assert!(!fs::exists(format!("/proc/{process}/exe"))?, "its processes are gone");
    assert_eq!(stage.cri.pod_status(&pod.id).await?.state(), PodSandboxState::SandboxNotready);
    stage.cri.stop_pod(&pod.id).await?;
    stage.cri.remove_pod(&pod.id).await?;
    stage.close().await
}
