//! Metrics of real groups.

use std::collections::BTreeSet;

use crio_types::{
    ContainerState, ContainerStatus, ImageId, ImageSpec, NamespaceOptions, Resources, SandboxMetadata, SandboxState,
    SandboxStatus, Signal, Timestamp,
};

use super::*;

const ALL: &str = "all";

fn measured(pod: &Pod) -> MeasuredPod {
    let sandbox = SandboxStatus {
        id: pod.sandbox.id.clone(),
        metadata: SandboxMetadata {
            name: "web".to_owned(),
            namespace: "shop".to_owned(),
            ..SandboxMetadata::default()
        },
        state: SandboxState::Ready,
        created_at: Timestamp(1),
        ips: Vec::new(),
        namespaces: NamespaceOptions::default(),
        labels: Default::default(),
        annotations: Default::default(),
        runtime_handler: String::new(),
    };
    let container = ContainerStatus {
        id: pod.container.id.clone(),
        sandbox_id: pod.sandbox.id.clone(),
        metadata: crio_types::ContainerMetadata { name: "main".to_owned(), attempt: 0 },
        state: ContainerState::Running,
        created_at: Timestamp(1),
        started_at: Timestamp(5_000_000_000),
        finished_at: Timestamp::NEVER,
        exit_code: 0,
        reason: None,
        message: String::new(),
        image: ImageSpec { image: "busybox".to_owned(), ..ImageSpec::default() },
        image_ref: String::new(),
        image_id: ImageId::from_bytes([1; 32]),
        labels: Default::default(),
        annotations: Default::default(),
        mounts: Vec::new(),
        log_path: String::new(),
        resources: Resources { memory_limit_bytes: 64 << 20, cpu_quota_us: 50_000, ..Resources::default() },
        user: None,
        stop_signal: Signal::TERM,
    };
    MeasuredPod { sandbox: Arc::new(sandbox), containers: vec![Arc::new(container)] }
}

fn collector(pod: &Pod, words: &[&str]) -> Collector {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    pod.collector(Config { metric_groups: MetricGroups::from_words(&words), ..Config::default() })
}

#[tokio::test]
async fn every_metric_is_described_and_has_a_value_for_every_label() {
    let mut pod = Pod::create(7);
    pod.sandbox.network = Some(Arc::new(FakeNetwork::default()));
    let collector = collector(&pod, &[ALL]);
    let metrics = collector.metrics(vec![measured(&pod)]).await.pop().expect("it is known");
    let described: BTreeSet<&str> = collector.metric_descriptors().iter().map(|metric| metric.name).collect();
    let own = metrics.containers.iter().flat_map(|container| &container.metrics);
    let all: Vec<&crate::Metric> = metrics.metrics.iter().chain(own).collect();
    for metric in &all {
        assert!(described.contains(metric.descriptor.name), "{metric:?}");
        assert_eq!(metric.labels.len(), metric.descriptor.label_keys().count(), "{metric:?}");
        assert_eq!(metric.labels[2..4], ["shop", "web"], "{metric:?}");
    }
    let value = |name: &str| all.iter().find(|metric| metric.descriptor.name == name).map(|metric| metric.value);
    assert_eq!(value("container_network_receive_packets_total"), Some(7));
    assert_eq!(value("container_spec_memory_limit_bytes"), Some(64 << 20));
    assert_eq!(value("container_spec_cpu_quota"), Some(50_000));
    assert_eq!(value("container_spec_cpu_period"), None, "what is not set is not told");
    assert_eq!(value("container_start_time_seconds"), Some(5));
    assert_eq!(value("container_oom_events_total"), Some(0));
    assert_eq!(value("container_processes"), Some(0));
    assert!(value("container_fs_limit_bytes") > Some(0) && value("container_last_seen") > Some(1_600_000_000));
    let cpu = all.iter().find(|metric| metric.descriptor.name == "container_cpu_usage_seconds_total").expect("cpu");
    assert_eq!(cpu.labels[4..], ["main", "total"]);
}

#[tokio::test]
async fn groups_that_are_not_included_are_neither_described_nor_told() {
    let pod = Pod::create(8);
    for (words, expected) in
        [(&[][..], &["container_last_seen"][..]), (&["oom"], &["container_last_seen", "container_oom_events_total"])]
    {
        let collector = collector(&pod, words);
        let metrics = collector.metrics(vec![measured(&pod)]).await.pop().expect("it is known");
        let told: BTreeSet<&str> = metrics.containers[0].metrics.iter().map(|metric| metric.descriptor.name).collect();
        assert_eq!(told, expected.iter().copied().collect(), "{words:?}");
        let described: BTreeSet<&str> = collector.metric_descriptors().iter().map(|metric| metric.name).collect();
        assert_eq!(described, told, "{words:?}");
        assert!(metrics.metrics.is_empty());
    }
    assert!(collector(&pod, &[ALL]).metrics(Vec::new()).await.is_empty());
}
