//! `[crio.metrics]`, `[crio.tracing]`, `[crio.stats]` and `[crio.checkpoint_restore]`.

use std::path::PathBuf;
use std::time::Duration;

use super::{option, section};
use crate::codec::{
    AnyPath, COLLECTORS, CollectorName, List, Number, Optional, PodMetrics, Regular, Seconds, Switch, Word, words,
};

words! {
    /// What CRIU may be used for.
    CheckpointLevel {
        /// Nothing.
        None = "none",
        /// Checkpoints only.
        CheckpointOnly = "checkpoint_only",
        /// Checkpoints and restores.
        CheckpointRestore = "checkpoint_restore",
    }
}

section! {
    /// `[crio.metrics]`.
    Metrics {
        /// Whether metrics are served.
        enable_metrics: bool as Switch = false
            => option().flag("enable-metrics").env(&["CONTAINER_ENABLE_METRICS"]).accepted();
        /// Metrics to collect, with or without the prefixes crio_ and container_runtime_crio_.
        metrics_collectors: Vec<String> as List<CollectorName> = COLLECTORS.map(str::to_owned).to_vec()
            => option().flag("metrics-collectors").env(&["CONTAINER_METRICS_COLLECTORS"]).accepted();
        /// Address of the metrics server.
        metrics_host: String as Regular = "127.0.0.1".to_owned()
            => option().flag("metrics-host").env(&["CONTAINER_METRICS_HOST"]).accepted();
        /// Port of the metrics server.
        metrics_port: u16 as Number<0, 65_535> = 9090
            => option().flag("metrics-port").env(&["CONTAINER_METRICS_PORT"]).accepted();
        /// Unix socket of a further metrics server.
        metrics_socket: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("metrics-socket").env(&["CONTAINER_METRICS_SOCKET"]).accepted();
        /// Certificate of the metrics server.
        metrics_cert: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("metrics-cert").env(&["CONTAINER_METRICS_CERT"]).accepted();
        /// Key of that certificate.
        metrics_key: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("metrics-key").env(&["CONTAINER_METRICS_KEY"]).accepted();
    }
}

section! {
    /// `[crio.tracing]`.
    Tracing {
        /// Whether traces are exported.
        enable_tracing: bool as Switch = false
            => option().flag("enable-tracing").env(&["CONTAINER_ENABLE_TRACING"]).accepted();
        /// OTLP collector, over gRPC.
        tracing_endpoint: String as Regular = "127.0.0.1:4317".to_owned()
            => option().flag("tracing-endpoint").env(&["CONTAINER_TRACING_ENDPOINT"]).accepted();
        /// Spans kept out of a million.
        tracing_sampling_rate_per_million: u32 as Number<0, 1_000_000> = 0
            => option().flag("tracing-sampling-rate-per-million").env(&["CONTAINER_TRACING_SAMPLING_RATE_PER_MILLION"]).accepted();
    }
}

section! {
    /// `[crio.stats]`.
    Stats {
        /// Seconds between collections of statistics; 0 collects when asked.
        stats_collection_period: Duration as Seconds = Duration::ZERO
            => option().flag("stats-collection-period").env(&["CONTAINER_STATS_COLLECTION_PERIOD"]).deprecated("use collection_period");
        /// How many seconds old an answer with statistics or pod metrics may be; 0 reads anew for every one.
        collection_period: Duration as Seconds = Duration::ZERO
            => option().flag("collection-period").env(&["COLLECTION_PERIOD"]);
        /// Pod metrics: cpu, disk, diskIO, hugetlb, memory, network, oom, process, spec, pressure, or all.
        included_pod_metrics: Vec<String> as List<PodMetrics> = Vec::new()
            => option().flag("included-pod-metrics").env(&["CONTAINER_INCLUDED_POD_METRCIS", "CONTAINER_INCLUDED_POD_METRICS"]);
    }
}

section! {
    /// `[crio.checkpoint_restore]`.
    CheckpointRestore {
        /// What CRIU may be used for, if enable_criu_support is set: none, checkpoint_only or checkpoint_restore.
        container_level_enabled: CheckpointLevel as Word = CheckpointLevel::CheckpointRestore => option();
    }
}
