//! What reading costs while many pods run: the calls kubelet repeats all day.

use std::time::{Duration, Instant};

use anyhow::Result;
use crio_cri_api::v1;
use serde::Serialize;
use tonic::{Code, Status};

use crate::client::{Cri, request};
use crate::fleet::Pod;
use crate::process::Watched;
use crate::samples::{Summary, summary};

/// Calls that are not measured, before those that are.
const WARM_UP_CALLS: usize = 3;
/// Statistics are slower: this many times fewer calls.
const STATS_DIVISOR: usize = 5;

/// What one kind of call costs, or why that is not known.
#[derive(Debug, Serialize)]
pub(crate) struct CallCost {
    pub(crate) name: &'static str,
    pub(crate) latency: Option<Summary>,
    /// Processor time of the daemon for each call, in milliseconds.
    pub(crate) daemon_cpu_ms: Option<f64>,
    /// Why there are no figures.
    pub(crate) failure: Option<String>,
}

/// Makes each call many times.
pub(crate) async fn measure(cri: &Cri, watched: Option<&Watched>, calls: usize, pod: &Pod) -> Result<Vec<CallCost>> {
    let mut meter = Meter { watched, calls, costs: Vec::new() };
    statuses(&mut meter, cri, pod).await?;
    lists(&mut meter, cri).await?;
    meter.calls = calls.div_ceil(STATS_DIVISOR);
    stats(&mut meter, cri).await?;
    Ok(meter.costs)
}

async fn statuses(meter: &mut Meter<'_>, cri: &Cri, pod: &Pod) -> Result<()> {
    let runtime = || cri.runtime.clone();
    let sandbox = v1::PodSandboxStatusRequest { pod_sandbox_id: pod.sandbox.clone(), verbose: false };
    let container = v1::ContainerStatusRequest { container_id: pod.container.clone(), verbose: false };
    let status = async || runtime().pod_sandbox_status(request(sandbox.clone())).await.map(drop);
    meter.measure("PodSandboxStatus", status).await?;
    let status = async || runtime().container_status(request(container.clone())).await.map(drop);
    meter.measure("ContainerStatus", status).await?;
    let status = async || runtime().status(request(v1::StatusRequest::default())).await.map(drop);
    meter.measure("Status", status).await?;
    let version = async || runtime().version(request(v1::VersionRequest::default())).await.map(drop);
    meter.measure("Version", version).await
}

async fn lists(meter: &mut Meter<'_>, cri: &Cri) -> Result<()> {
    let (runtime, images) = (|| cri.runtime.clone(), || cri.images.clone());
    let list = async || runtime().list_pod_sandbox(request(v1::ListPodSandboxRequest::default())).await.map(drop);
    meter.measure("ListPodSandbox", list).await?;
    let list = async || runtime().list_containers(request(v1::ListContainersRequest::default())).await.map(drop);
    meter.measure("ListContainers", list).await?;
    let list = async || images().list_images(request(v1::ListImagesRequest::default())).await.map(drop);
    meter.measure("ListImages", list).await?;
    let usage = async || images().image_fs_info(request(v1::ImageFsInfoRequest::default())).await.map(drop);
    meter.measure("ImageFsInfo", usage).await
}

async fn stats(meter: &mut Meter<'_>, cri: &Cri) -> Result<()> {
    let runtime = || cri.runtime.clone();
    let containers = v1::ListContainerStatsRequest::default;
    let list = async || runtime().list_container_stats(request(containers())).await.map(drop);
    meter.measure("ListContainerStats", list).await?;
    let sandboxes = v1::ListPodSandboxStatsRequest::default;
    let list = async || runtime().list_pod_sandbox_stats(request(sandboxes())).await.map(drop);
    meter.measure("ListPodSandboxStats", list).await?;
    let metrics = v1::ListPodSandboxMetricsRequest::default;
    let list = async || runtime().list_pod_sandbox_metrics(request(metrics())).await.map(drop);
    meter.measure("ListPodSandboxMetrics", list).await
}

/// Measures calls, one kind after the other.
struct Meter<'a> {
    watched: Option<&'a Watched>,
    calls: usize,
    costs: Vec<CallCost>,
}

impl Meter<'_> {
    /// Makes one kind of call. A runtime that fails it is told about in the result, and the others are still made.
    async fn measure(&mut self, name: &'static str, call: impl AsyncFn() -> Result<(), Status>) -> Result<()> {
        let mut cost = CallCost { name, latency: None, daemon_cpu_ms: None, failure: None };
        match self.repeat(&call).await? {
            Ok((durations, used_ns)) => {
                cost.daemon_cpu_ms = used_ns.map(|used_ns| per_call_ms(used_ns, self.calls));
                cost.latency = Some(summary(name, durations));
            }
            Err(status) if status.code() == Code::Unimplemented => cost.failure = Some("not served".to_owned()),
            Err(status) => cost.failure = Some(format!("{:?}: {}", status.code(), status.message())),
        }
        self.costs.push(cost);
        Ok(())
    }

    /// The calls' durations and the daemon's processor time in nanoseconds, or how a call failed.
    async fn repeat(&self, call: &impl AsyncFn() -> Result<(), Status>) -> Result<Outcome> {
        for _ in 0..WARM_UP_CALLS {
            if let Err(status) = call().await {
                return Ok(Err(status));
            }
        }
        let earlier = self.watched.map(Watched::daemon_cpu_ns).transpose()?;
        let mut durations = Vec::with_capacity(self.calls);
        for _ in 0..self.calls {
            match timed(call).await {
                Ok(duration) => durations.push(duration),
                Err(status) => return Ok(Err(status)),
            }
        }
        let later = self.watched.map(Watched::daemon_cpu_ns).transpose()?;
        let used_ns = later.zip(earlier).map(|(later, earlier)| later.saturating_sub(earlier));
        Ok(Ok((durations, used_ns)))
    }
}

/// What repeating a call gives.
type Outcome = Result<(Vec<Duration>, Option<u64>), Status>;

async fn timed(call: &impl AsyncFn() -> Result<(), Status>) -> Result<Duration, Status> {
    let started = Instant::now();
    call().await?;
    Ok(started.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a benchmark are far below 2^52")]
fn per_call_ms(total_ns: u64, calls: usize) -> f64 {
    total_ns as f64 / 1e6 / calls.max(1) as f64
}
