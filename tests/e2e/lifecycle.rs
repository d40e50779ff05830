//! One pod with one container, from nothing to nothing.

use std::time::Duration;

use anyhow::Result;
use crio_cri_api::v1::{ContainerState, PodSandboxState};
use crio_testkit::request;
use crio_tests::{PATIENCE, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_lives_and_leaves_nothing() -> Result<()> {
    let stage = Stage::set().await?;
    let cri = &stage.cri;
    let pod_config = stage.node.pod("first");
    let pod = cri.run_pod(&pod_config).await?;
    assert_eq!(cri.pod_status(&pod).await?.state(), PodSandboxState::SandboxReady);

    let script = "trap 'exit 7' TERM; echo out; echo err >&2; while :; do sleep 0.1; done";
    let container = cri.run(&pod, &pod_config, &request::shell("main", &stage.busybox, script)).await?;
    cri.wait(&container, ContainerState::ContainerRunning, PATIENCE).await?;

    let executed = cri.exec(&container, &["sh", "-c", "echo $0; exit 3", "hello"], PATIENCE).await?;
    assert_eq!((executed.stdout.as_str(), executed.code), ("hello\n", 3), "{executed:?}");

    cri.stop(&container, Duration::from_secs(5)).await?;
    let status = cri.wait(&container, ContainerState::ContainerExited, PATIENCE).await?;
    assert_eq!(status.exit_code, 7);
    let log = std::fs::read_to_string(stage.node.container_log("first", "main"))?;
    for line in [" stdout F out", " stderr F err"] {
        assert!(log.contains(line), "{log}");
    }

    cri.remove(&container).await?;
    cri.stop_pod(&pod).await?;
    cri.remove_pod(&pod).await?;
    assert!(cri.pods().await?.is_empty());
    stage.close().await
}
