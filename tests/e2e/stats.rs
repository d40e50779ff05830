//! What containers and pods use, as kubelet and `crictl stats` ask for it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use crio_cri_api::v1::{ContainerState, ListContainerStatsRequest};
use crio_testkit::request;
use crio_tests::{PATIENCE, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn use_is_counted_while_a_container_runs() -> Result<()> {
    let stage = Stage::set().await?;
    let cri = &stage.cri;
    let pod_config = stage.node.pod("busy");
    let pod = cri.run_pod(&pod_config).await?;
    let script = "head -c 300000 /dev/zero >/tmp/file; while :; do :; done";
    let container = cri.run(&pod, &pod_config, &request::shell("main", &stage.busybox, script)).await?;

    let deadline = Instant::now() + PATIENCE;
    let stats = loop {
        let stats = cri.stats(&container).await?;
        let layer = stats.writable_layer.as_ref().and_then(|layer| layer.used_bytes.as_ref());
        let rate = stats.cpu.as_ref().and_then(|cpu| cpu.usage_nano_cores);
        if layer.is_some_and(|used| used.value >= 300_000) && rate.is_some_and(|rate| rate.value > 0) {
            break stats;
        }
        ensure!(Instant::now() < deadline, "not within {PATIENCE:?}: {stats:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let memory = stats.memory.unwrap_or_default();
    assert!(memory.working_set_bytes.is_some_and(|bytes| bytes.value > 0), "{memory:?}");
    assert!(memory.available_bytes.is_none(), "nothing is available below no limit: {memory:?}");

    let whole = cri.pod_stats(&pod).await?.linux.unwrap_or_default();
    assert_eq!(whole.containers.len(), 1);
    assert!(whole.cpu.is_some() && whole.memory.is_some(), "{whole:?}");
    let network = whole.network.unwrap_or_default();
    let interface = network.default_interface.unwrap_or_default();
    assert_eq!(interface.name, "eth0");
    assert!(network.interfaces.iter().all(|interface| interface.name != "lo"));

    cri.stop(&container, Duration::ZERO).await?;
    cri.wait(&container, ContainerState::ContainerExited, PATIENCE).await?;
    let listed = cri.runtime().list_container_stats(ListContainerStatsRequest::default()).await?.into_inner().stats;
    assert!(listed.is_empty(), "exited containers are not listed: {listed:?}");
    stage.close().await
}
