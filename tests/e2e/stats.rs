//! What containers and pods use, as kubelet and `crictl stats` ask for it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use crio_cri_api::v1::{
    ContainerState, ContainerStats, ListContainerStatsRequest, ListPodSandboxStatsRequest, PodSandboxStats,
    StreamContainerStatsRequest, StreamPodSandboxStatsRequest, UInt64Value,
};
use crio_testkit::{Cri, request};
use crio_tests::workload::limits;
use crio_tests::{PATIENCE, Stage};

const LIMIT_BYTES: u64 = 64 << 20;

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

    let mut limited = request::shell("limited", &stage.busybox, "sleep 1000");
    limits(&mut limited).memory_limit_in_bytes = LIMIT_BYTES.cast_signed();
    let limited = cri.run(&pod, &pod_config, &limited).await?;
    let memory = cri.stats(&limited).await?.memory.unwrap_or_default();
    let value = |number: Option<UInt64Value>| number.map(|number| number.value);
    let (working_set, available) = (value(memory.working_set_bytes), value(memory.available_bytes));
    assert_eq!(working_set.zip(available).map(|(used, left)| used + left), Some(LIMIT_BYTES), "{memory:?}");
    streams_have_what_lists_have(cri, &[&container, &limited]).await?;
    cri.stop(&limited, Duration::ZERO).await?;
    let whole = cri.pod_stats(&pod).await?.linux.unwrap_or_default();
    assert_eq!(whole.containers.len(), 1, "ended containers are no part of the pod's use");

    cri.stop(&container, Duration::ZERO).await?;
    cri.wait(&container, ContainerState::ContainerExited, PATIENCE).await?;
    let listed = cri.runtime().list_container_stats(ListContainerStatsRequest::default()).await?.into_inner().stats;
    assert!(listed.is_empty(), "exited containers are not listed: {listed:?}");
    stage.close().await
}

/// The ids of those whose use is told, as a list and as a stream.
async fn streams_have_what_lists_have(cri: &Cri, expected: &[&String]) -> Result<()> {
    let mut runtime = cri.runtime();
    let ids = |stats: Vec<ContainerStats>| {
        let ids = stats.into_iter().filter_map(|stats| stats.attributes).map(|attributes| attributes.id);
        ids.collect::<BTreeSet<String>>()
    };
    let expected: BTreeSet<String> = expected.iter().map(|id| (*id).clone()).collect();
    let listed = runtime.list_container_stats(ListContainerStatsRequest::default()).await?.into_inner().stats;
    assert_eq!(ids(listed), expected);
    let mut streamed = Vec::new();
    let mut stream = runtime.stream_container_stats(StreamContainerStatsRequest::default()).await?.into_inner();
    while let Some(message) = stream.message().await? {
        streamed.extend(message.container_stats);
    }
    assert_eq!(ids(streamed), expected);

    let pods = |stats: Vec<PodSandboxStats>| {
        let containers = stats.into_iter().filter_map(|stats| stats.linux).flat_map(|linux| linux.containers);
        ids(containers.collect())
    };
    let listed = runtime.list_pod_sandbox_stats(ListPodSandboxStatsRequest::default()).await?.into_inner().stats;
    assert_eq!(pods(listed), expected);
    let mut streamed = Vec::new();
    let mut stream = runtime.stream_pod_sandbox_stats(StreamPodSandboxStatsRequest::default()).await?.into_inner();
    while let Some(message) = stream.message().await? {
        streamed.extend(message.pod_sandbox_stats);
    }
    assert_eq!(pods(streamed), expected);
    Ok(())
}
