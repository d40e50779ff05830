//! Metrics of pods. Label values stand in the order of their descriptor's label keys.

use crio_cri_api::v1;
use crio_stats::{ContainerMetrics, Metric, MetricDescriptor, MetricKind, PodMetrics};

/// What a metric is.
pub(crate) fn descriptor(descriptor: &MetricDescriptor) -> v1::MetricDescriptor {
    v1::MetricDescriptor {
        name: descriptor.name.to_owned(),
        help: descriptor.help.to_owned(),
        label_keys: descriptor.label_keys().map(str::to_owned).collect(),
    }
}

/// The metrics of a pod and its containers.
pub(crate) fn pod(pod: &PodMetrics) -> v1::PodSandboxMetrics {
    v1::PodSandboxMetrics {
        pod_sandbox_id: pod.id.to_string(),
        metrics: pod.metrics.iter().map(metric).collect(),
        container_metrics: pod.containers.iter().map(container).collect(),
    }
}

fn container(container: &ContainerMetrics) -> v1::ContainerMetrics {
    v1::ContainerMetrics {
        container_id: container.id.to_string(),
        metrics: container.metrics.iter().map(metric).collect(),
    }
}

fn metric(metric: &Metric) -> v1::Metric {
    let kind = match metric.descriptor.kind {
        MetricKind::Counter => v1::MetricType::Counter,
        MetricKind::Gauge => v1::MetricType::Gauge,
    };
    v1::Metric {
        name: metric.descriptor.name.to_owned(),
        timestamp: metric.timestamp.0,
        metric_type: kind.into(),
        label_values: metric.labels.clone(),
        value: Some(v1::UInt64Value { value: metric.value }),
    }
}

#[cfg(test)]
mod tests {
    use crio_stats::MetricGroup;
    use crio_types::{ContainerId, SandboxId, Timestamp};

    use super::*;

    static HITS: MetricDescriptor = MetricDescriptor {
        name: "container_hits_total",
        help: "Hits.",
        further_labels: &["side"],
        kind: MetricKind::Counter,
        group: Some(MetricGroup::Cpu),
    };

    #[test]
    fn keys_and_values_stand_in_the_same_order() {
        let labels: Vec<String> = ["7", "busybox", "shop", "web", "main", "left"].map(str::to_owned).into();
        let value = Metric { descriptor: &HITS, timestamp: Timestamp(9), labels: labels.clone(), value: 3 };
        let container = ContainerMetrics { id: ContainerId::from_bytes([7; 32]), metrics: vec![value] };
        let shown =
            pod(&PodMetrics { id: SandboxId::from_bytes([8; 32]), metrics: Vec::new(), containers: vec![container] });
        assert_eq!(shown.pod_sandbox_id, "08".repeat(32));
        let metric = &shown.container_metrics[0].metrics[0];
        assert_eq!(
            (metric.name.as_str(), metric.timestamp, metric.metric_type()),
            ("container_hits_total", 9, v1::MetricType::Counter)
        );
        assert_eq!(metric.value, Some(v1::UInt64Value { value: 3 }));
        let keys = descriptor(&HITS).label_keys;
        assert_eq!(keys, ["id", "image", "namespace", "pod", "container", "side"]);
        assert_eq!(metric.label_values, labels);
    }
}
