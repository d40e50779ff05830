//! Pods and containers live on while the daemon is stopped, killed and started again, and the next one knows all of it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{ContainerState, NamespaceMode, PodSandboxState};
use crio_tests::workload::{namespaces, pod_namespaces};
use crio_tests::{PATIENCE, Stage, log, until};

const WAITS: &str = "i=0; while [ ! -e /tmp/end ]; do i=$((i+1)); echo $i; sleep 0.05; done; echo last; exit 5";

/// How a daemon goes.
#[derive(Debug, Clone, Copy)]
enum End {
    Killed,
    Stopped,
}

async fn renew(stage: &mut Stage, end: End, meanwhile: impl AsyncFnOnce(&Stage) -> Result<()>) -> Result<()> {
    match end {
        End::Killed => stage.node.kill()?,
        End::Stopped => assert!(stage.node.stop().await?.success()),
    }
    meanwhile(stage).await?;
    stage.node.start_daemon().await?;
    stage.reconnect().await
}

async fn lives_through(end: End) -> Result<()> {
    let mut stage = Stage::set().await?;
    let pod = stage.pod("survivor").await?;
    let running = stage.start(&pod, &stage.shell("running", WAITS)).await?;
    let ending =
        stage.start(&pod, &stage.shell("ending", "while [ ! -e /dev/shm/end ]; do sleep 0.05; done; exit 6")).await?;
    let ended = stage.finish(&pod, &stage.shell("ended", "exit 7")).await?.id;
    let created = stage.cri.create(&pod.id, &pod.config, &stage.shell("created", "exit 8")).await?;
    let stopped = stage.pod("stopped").await?;
    stage.cri.stop_pod(&stopped.id).await?;
    let mut before = Vec::new();
    for id in [&running, &ended, &created] {
        before.push(stage.cri.status(id).await?);
    }
    let pods = (stage.cri.pod_status(&pod.id).await?, stage.cri.pod_status(&stopped.id).await?);
    let process = stage.process(&ending).await?;
    let shared = format!("/proc/{process}/root/dev/shm/end");

    renew(&mut stage, end, async |_| {
        std::fs::write(&shared, "")?;
        until("the container ends by itself", async || {
            Ok((!std::path::Path::new(&format!("/proc/{process}/exe")).exists()).then_some(()))
        })
        .await
    })
    .await?;

    assert_eq!((stage.cri.pod_status(&pod.id).await?, stage.cri.pod_status(&stopped.id).await?), pods);
    for status in before {
        assert_eq!(stage.cri.status(&status.id).await?, status, "nothing about it has changed");
    }
    let status = stage.cri.status(&ending).await?;
    assert_eq!(
        (status.state(), status.exit_code, status.reason.as_str()),
        (ContainerState::ContainerExited, 6, "Error")
    );
    assert!(status.finished_at > status.started_at);
    assert_eq!(stage.cri.containers().await?.len(), 4);

    stage.cri.start(&created).await?;
    let status = stage.cri.wait(&created, ContainerState::ContainerExited, PATIENCE).await?;
    assert_eq!(status.exit_code, 8, "what was created before can be started after");
    let _ended = stage.exec(&running, "touch /tmp/end").await;
    let status = stage.cri.wait(&running, ContainerState::ContainerExited, PATIENCE).await?;
    assert_eq!(status.exit_code, 5);
    let text = String::from_utf8(log::content(&log::read(status.log_path.as_ref())?, "stdout"))?;
    let numbers: Vec<&str> = text.lines().collect();
    let (last, numbers) = numbers.split_last().context("it wrote something")?;
    assert_eq!(*last, "last");
    assert!(numbers.iter().zip(1u64..).all(|(line, number)| *line == number.to_string()), "{text}");

    assert_eq!(stage.output(&pod, "new", "echo new").await?, "new\n", "old pods take new containers");
    stage.pod("new").await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_is_followed_by_one_that_knows_everything() -> Result<()> {
    Box::pin(lives_through(End::Killed)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_daemon_is_followed_by_one_that_knows_everything() -> Result<()> {
    Box::pin(lives_through(End::Stopped)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_pid_namespace_survives() -> Result<()> {
    let mut stage = Stage::set().await?;
    let mut config = stage.node.pod("shared");
    pod_namespaces(&mut config).pid = NamespaceMode::Pod.into();
    let pod = stage.pod_of(config).await?;
    let shell = |stage: &Stage, name: &str, script: &str| {
        let mut config = stage.shell(name, script);
        namespaces(&mut config).pid = NamespaceMode::Pod.into();
        config
    };
    let first = shell(&stage, "first", "sleep 4341");
    let first = stage.start(&pod, &first).await?;
    stage.crash().await?;
    assert_eq!(stage.cri.containers().await?.len(), 1, "the pause container is nobody's business");
    let second = shell(&stage, "second", "tr '\\0' ' ' </proc/1/cmdline; grep -l 4341 /proc/[0-9]*/cmdline | wc -l");
    let seen = stage.finish(&pod, &second).await?.stdout;
    assert!(seen.starts_with("/pause") && seen.ends_with("1\n") || seen.contains("pause"), "{seen}");
    stage.cri.stop(&first, Duration::ZERO).await?;
    assert_eq!(stage.cri.status(&first).await?.exit_code, 137);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_and_limits_are_still_known() -> Result<()> {
    let mut stage = Stage::set().await?;
    let pod = stage.pod("known").await?;
    let mut config = stage.shell("main", "sleep 1000");
    crio_tests::workload::limits(&mut config).memory_limit_in_bytes = 64 << 20;
    let id = stage.start(&pod, &config).await?;
    stage.crash().await?;
    stage.crash().await?;
    let stats = stage.cri.stats(&id).await?;
    assert!(stats.memory.and_then(|memory| memory.available_bytes).is_some_and(|bytes| bytes.value > 0));
    assert!(stage.cri.pod_stats(&pod.id).await?.linux.and_then(|linux| linux.network).is_some());
    let other = stage.pod("other").await?;
    let ips = async |id: &str| -> Result<_> { Ok(stage.cri.pod_status(id).await?.network.context("a network")?.ip) };
    assert_ne!(ips(&pod.id).await?, ips(&other.id).await?, "the address is not given away twice");
    assert_eq!(stage.cri.run_pod(&pod.config).await?, pod.id, "a retry finds the pod of the last daemon");
    assert_eq!(stage.cri.create(&pod.id, &pod.config, &config).await?, id);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_was_cut_off_can_be_repeated() -> Result<()> {
    let mut stage = Stage::set().await?;
    let pod = stage.pod("stopping").await?;
    let script = "trap '' TERM; touch /tmp/ready; while :; do sleep 0.1; done";
    let id = stage.start(&pod, &stage.shell("main", script)).await?;
    until("it is ready", async || Ok(stage.exec(&id, "test -e /tmp/ready").await.ok())).await?;
    let call = stage.cri.stop_pod(&pod.id);
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    stage.crash().await?;
    assert_eq!(stage.cri.pod_status(&pod.id).await?.state(), PodSandboxState::SandboxNotready);
    stage.cri.stop(&id, Duration::ZERO).await?;
    stage.cri.stop_pod(&pod.id).await?;
    stage.cri.remove_pod(&pod.id).await?;
    stage.close().await
}
