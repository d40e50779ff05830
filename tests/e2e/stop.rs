//! How containers and pods are ended.

use std::time::{Duration, Instant};

use anyhow::Result;
use crio_cri_api::v1::{ContainerState, PodSandboxState, Signal, StopPodSandboxRequest};
use crio_testkit::image::{Compression, Layer};
use crio_testkit::request;
use crio_tests::{PATIENCE, Stage, images, until};
use serde_json::json;

const DEAF: &str = "trap '' TERM; touch /tmp/ready; while :; do sleep 0.1; done";

async fn ready(stage: &Stage, id: &str) -> Result<()> {
    until("the container is ready", async || Ok(stage.exec(id, "test -e /tmp/ready").await.ok())).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_gets_its_grace_and_no_more() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("grace").await?;
    let polite = "trap 'exit 9' TERM; touch /tmp/ready; while :; do sleep 0.1; done";
    let id = stage.start(&pod, &stage.shell("polite", polite)).await?;
    ready(&stage, &id).await?;
    let started = Instant::now();
    stage.cri.stop(&id, Duration::from_secs(60)).await?;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(stage.cri.status(&id).await?.exit_code, 9);

    let id = stage.start(&pod, &stage.shell("deaf", DEAF)).await?;
    ready(&stage, &id).await?;
    let started = Instant::now();
    stage.cri.stop(&id, Duration::from_secs(1)).await?;
    assert!((Duration::from_secs(1)..Duration::from_secs(4)).contains(&started.elapsed()), "{:?}", started.elapsed());
    let status = stage.cri.status(&id).await?;
    assert_eq!((status.state(), status.exit_code), (ContainerState::ContainerExited, 137));
    stage.cri.stop(&id, Duration::from_secs(1)).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_stop_can_only_shorten_it() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("shortened").await?;
    let id = stage.start(&pod, &stage.shell("deaf", DEAF)).await?;
    ready(&stage, &id).await?;
    let started = Instant::now();
    let first = tokio::spawn({
        let (cri, id) = (stage.cri.clone(), id.clone());
        async move { cri.stop(&id, Duration::from_secs(600)).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let longer = tokio::spawn({
        let (cri, id) = (stage.cri.clone(), id.clone());
        async move { cri.stop(&id, Duration::from_secs(900)).await }
    });
    stage.cri.stop(&id, Duration::from_secs(1)).await?;
    first.await??;
    longer.await??;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_goes_on_when_its_caller_leaves() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("leaves").await?;
    let id = stage.start(&pod, &stage.shell("deaf", DEAF)).await?;
    ready(&stage, &id).await?;
    let call = stage.cri.stop(&id, Duration::from_secs(1));
    assert!(tokio::time::timeout(Duration::from_millis(200), call).await.is_err());
    stage.cri.wait(&id, ContainerState::ContainerExited, PATIENCE).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stop_signal_is_the_requests() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("signal").await?;
    let script = "trap 'exit 11' USR1; trap 'exit 12' TERM; touch /tmp/ready; while :; do sleep 0.1; done";
    let mut config = stage.shell("main", script);
    config.stop_signal = Signal::Sigusr1.into();
    let id = stage.start(&pod, &config).await?;
    ready(&stage, &id).await?;
    stage.cri.stop(&id, PATIENCE).await?;
    assert_eq!(stage.cri.status(&id).await?.exit_code, 11);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn real_time_signals_are_signals_too() -> Result<()> {
    let stage = Stage::set().await?;
    let script =
        "trap 'exit 13' 37; trap 'exit 14' 63; trap 'exit 15' TERM; touch /tmp/ready; while :; do sleep 0.1; done";
    let image = images::with_shell()?.config("StopSignal", json!("SIGRTMIN+3"));
    let layer = Layer::new().directory("/tmp", 0o1777).host_file("/bin/busybox", "/bin/touch")?;
    let image = image.layer(layer.host_file("/bin/busybox", "/bin/test")?, Compression::Gzip).build()?;
    let image = stage.registry.push(&image, "signal:1").await?;
    stage.cri.pull(&image).await?;
    let pod = stage.pod("real-time").await?;
    for (name, image, asked, told, code) in [
        ("request", &stage.busybox, Signal::Sigrtminplus3, Signal::Sigrtminplus3, 13),
        ("image", &image, Signal::RuntimeDefault, Signal::Sigrtminplus3, 13),
        ("both", &image, Signal::Sigrtmaxminus1, Signal::Sigrtmaxminus1, 14),
        ("neither", &stage.busybox, Signal::RuntimeDefault, Signal::Sigterm, 15),
    ] {
        let mut config = request::shell(name, image, script);
        config.stop_signal = asked.into();
        let id = stage.start(&pod, &config).await?;
        assert_eq!(stage.cri.status(&id).await?.stop_signal(), told, "{name}");
        ready(&stage, &id).await?;
        stage.cri.stop(&id, PATIENCE).await?;
        let status = stage.cri.status(&id).await?;
        assert_eq!((status.exit_code, status.stop_signal()), (code, told), "{name}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_can_be_removed() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("removed").await?;
    let running = stage.start(&pod, &stage.shell("running", DEAF)).await?;
    let created = stage.cri.create(&pod.id, &pod.config, &stage.shell("created", "sleep 1000")).await?;
    let ended = stage.finish(&pod, &stage.shell("ended", "true")).await?.id;
    for id in [&running, &created, &ended] {
        stage.cri.remove(id).await?;
        assert!(stage.cri.status(id).await.is_err());
        stage.cri.remove(id).await?;
    }
    assert!(stage.cri.containers().await?.is_empty());
    stage.start(&pod, &stage.shell("running", DEAF)).await?;
    stage.cri.remove_pod(&pod.id).await?;
    assert!(stage.cri.containers().await?.is_empty() && stage.cri.pods().await?.is_empty());
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_stops_within_its_callers_deadline() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("deadline").await?;
    let id = stage.start(&pod, &stage.shell("deaf", DEAF)).await?;
    ready(&stage, &id).await?;
    let mut request = tonic::Request::new(StopPodSandboxRequest { pod_sandbox_id: pod.id.clone() });
    request.set_timeout(Duration::from_secs(3));
    stage.cri.runtime().stop_pod_sandbox(request).await?;
    assert_eq!(stage.cri.pod_status(&pod.id).await?.state(), PodSandboxState::SandboxNotready);
    assert_eq!(stage.cri.status(&id).await?.state(), ContainerState::ContainerExited);
    stage.close().await
}
