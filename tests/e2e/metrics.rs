//! Metrics of pods through CRI, for a kubelet that does not look at control groups itself.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{
    ListMetricDescriptorsRequest, ListPodSandboxMetricsRequest, Metric, PodSandboxMetrics,
    StreamPodSandboxMetricsRequest,
};
use crio_testkit::Options;
use crio_tests::{Stage, until};

async fn stage(groups: &str) -> Result<Stage> {
    let crio_conf = format!("[crio.stats]\nincluded_pod_metrics = [{groups}]\n");
    Stage::set_with(Options { crio_conf, ..Options::default() }).await
}

/// The label keys of each metric that is described.
async fn described(stage: &Stage) -> Result<BTreeMap<String, Vec<String>>> {
    let answer = stage.cri.runtime().list_metric_descriptors(ListMetricDescriptorsRequest {}).await?.into_inner();
    Ok(answer.descriptors.into_iter().map(|descriptor| (descriptor.name, descriptor.label_keys)).collect())
}

async fn listed(stage: &Stage) -> Result<Vec<PodSandboxMetrics>> {
    let answer = stage.cri.runtime().list_pod_sandbox_metrics(ListPodSandboxMetricsRequest {}).await?;
    Ok(answer.into_inner().pod_metrics)
}

async fn streamed(stage: &Stage) -> Result<Vec<PodSandboxMetrics>> {
    let mut stream =
        stage.cri.runtime().stream_pod_sandbox_metrics(StreamPodSandboxMetricsRequest {}).await?.into_inner();
    let mut pods = Vec::new();
    while let Some(message) = stream.message().await? {
        pods.extend(message.pod_sandbox_metrics);
    }
    Ok(pods)
}

/// The value of the first metric of this name.
fn value(metrics: &[Metric], name: &str) -> Option<u64> {
    metrics.iter().find(|metric| metric.name == name)?.value.map(|value| value.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_group_is_told_as_it_is_described() -> Result<()> {
    let stage = stage("\"all\"").await?;
    let pod = stage.pod("measured").await?;
    let mut config = stage.shell("main", "head -c 100000 /dev/zero >/file; sleep 1000 & wait");
    let limits = crio_tests::workload::limits(&mut config);
    (limits.memory_limit_in_bytes, limits.cpu_quota, limits.cpu_period) = (64 << 20, 50_000, 100_000);
    let container = stage.start(&pod, &config).await?;
    let ended = stage.finish(&pod, &stage.shell("ended", "true")).await?;

    let keys = described(&stage).await?;
    let (own, whole) = until("the writable layer is measured", async || {
        let mut pods = listed(&stage).await?;
        let pod = pods.pop().context("one pod")?;
        let own = pod.container_metrics.iter().find(|metrics| metrics.container_id == container).context("it runs")?;
        let own = own.metrics.clone();
        Ok(value(&own, "container_fs_usage_bytes").is_some_and(|used| used >= 100_000).then_some((own, pod)))
    })
    .await?;
    assert!(whole.container_metrics.iter().all(|metrics| metrics.container_id != ended.id), "what ended is left out");
    for metric in own.iter().chain(&whole.metrics) {
        let keys = keys.get(&metric.name).with_context(|| format!("{} is not described", metric.name))?;
        assert_eq!(keys.len(), metric.label_values.len(), "{metric:?}");
        let labels: BTreeMap<&str, &str> =
            keys.iter().map(String::as_str).zip(metric.label_values.iter().map(String::as_str)).collect();
        assert_eq!(
            (labels["pod"], labels["namespace"]),
            ("measured", pod.config.metadata.as_ref().map_or("", |m| &m.namespace))
        );
        assert!(metric.timestamp > 0, "{metric:?}");
    }
    for (name, at_least) in [
        ("container_memory_usage_bytes", 1),
        ("container_memory_max_usage_bytes", 1),
        ("container_memory_failures_total", 1),
        ("container_processes", 2),
        ("container_threads", 2),
        ("container_file_descriptors", 2),
        ("container_ulimits_soft", 1),
        ("container_spec_memory_limit_bytes", 64 << 20),
        ("container_spec_cpu_quota", 50_000),
        ("container_fs_limit_bytes", 1),
        ("container_start_time_seconds", 1_600_000_000),
        ("container_last_seen", 1_600_000_000),
    ] {
        assert!(value(&own, name) >= Some(at_least), "{name}: {:?}", value(&own, name));
    }
    assert_eq!(value(&own, "container_oom_events_total"), Some(0));
    assert!(value(&own, "container_cpu_cfs_periods_total").is_some());
    let interface = whole.metrics.iter().find(|metric| metric.name == "container_network_receive_bytes_total");
    assert_eq!(interface.context("its network")?.label_values[4..], ["POD", "eth0"]);

    let names = |pods: &[PodSandboxMetrics]| -> BTreeSet<String> {
        let own = pods.iter().flat_map(|pod| &pod.container_metrics).flat_map(|container| &container.metrics);
        pods.iter().flat_map(|pod| &pod.metrics).chain(own).map(|metric| metric.name.clone()).collect()
    };
    assert_eq!(names(&streamed(&stage).await?), names(&listed(&stage).await?), "a stream has what a list has");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_included_is_told() -> Result<()> {
    let stage = stage("\"oom\", \"network\"").await?;
    let pod = stage.pod("measured").await?;
    stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let described = described(&stage).await?;
    assert_eq!(described.len(), 10, "{described:?}");
    let whole = listed(&stage).await?.pop().context("one pod")?;
    let own: BTreeSet<&str> = whole.container_metrics[0].metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(own, BTreeSet::from(["container_last_seen", "container_oom_events_total"]));
    assert!(whole.metrics.iter().all(|metric| metric.name.starts_with("container_network_")), "{whole:?}");
    assert_eq!(whole.metrics.len(), 8, "{whole:?}");
    stage.close().await
}
