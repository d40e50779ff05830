//! Metrics of pods, for a kubelet that asks the runtime instead of looking at control groups itself.

use crio_cri_api::v1;
use tonic::Request;

use super::chunks::{self, Stream};
use crate::Services;
use crate::call::Answer;
use crate::convert::metric as encode;

pub(crate) fn descriptors(
    services: &Services,
    _request: Request<v1::ListMetricDescriptorsRequest>,
) -> Answer<v1::ListMetricDescriptorsResponse> {
    let descriptors = services.pods.metric_descriptors().into_iter().map(encode::descriptor).collect();
    Ok(v1::ListMetricDescriptorsResponse { descriptors })
}

pub(crate) async fn list(
    services: &Services,
    _request: Request<v1::ListPodSandboxMetricsRequest>,
) -> Answer<v1::ListPodSandboxMetricsResponse> {
    let pods = services.pods.pod_metrics().await;
    Ok(v1::ListPodSandboxMetricsResponse { pod_metrics: pods.iter().map(encode::pod).collect() })
}

pub(crate) async fn stream(
    services: &Services,
    _request: Request<v1::StreamPodSandboxMetricsRequest>,
) -> Answer<Stream<v1::StreamPodSandboxMetricsResponse>> {
    let message = |pod_sandbox_metrics| v1::StreamPodSandboxMetricsResponse { pod_sandbox_metrics };
    Ok(chunks::stream(services.pods.pod_metrics().await, encode::pod, message))
}
