//! What containers and sandboxes use. Lists leave out containers that do not run.

use crio_cri_api::v1;
use tonic::Request;

use super::chunks::{self, Stream};
use super::pods;
use crate::Services;
use crate::call::{Answer, about};
use crate::convert::{filter, stats as encode};

pub(crate) async fn container(
    services: &Services,
    request: Request<v1::ContainerStatsRequest>,
) -> Answer<v1::ContainerStatsResponse> {
    let id = request.into_inner().container_id;
    about(&id);
    let stats = services.pods.container_stats(&id).await.map_err(pods)?;
    Ok(v1::ContainerStatsResponse { stats: Some(encode::container(&stats)) })
}

pub(crate) async fn list_containers(
    services: &Services,
    request: Request<v1::ListContainerStatsRequest>,
) -> Answer<v1::ListContainerStatsResponse> {
    let filter = filter::container_stats(request.into_inner().filter);
    let stats = services.pods.list_container_stats(&filter).await;
    Ok(v1::ListContainerStatsResponse { stats: stats.iter().map(encode::container).collect() })
}

pub(crate) async fn stream_containers(
    services: &Services,
    request: Request<v1::StreamContainerStatsRequest>,
) -> Answer<Stream<v1::StreamContainerStatsResponse>> {
    let filter = filter::container_stats(request.into_inner().filter);
    let stats = services.pods.list_container_stats(&filter).await;
    let message = |container_stats| v1::StreamContainerStatsResponse { container_stats };
    Ok(chunks::stream(stats, encode::container, message))
}

pub(crate) async fn sandbox(
    services: &Services,
    request: Request<v1::PodSandboxStatsRequest>,
) -> Answer<v1::PodSandboxStatsResponse> {
    let id = request.into_inner().pod_sandbox_id;
    about(&id);
    let stats = services.pods.pod_sandbox_stats(&id).await.map_err(pods)?;
    Ok(v1::PodSandboxStatsResponse { stats: Some(encode::sandbox(&stats)) })
}

pub(crate) async fn list_sandboxes(
    services: &Services,
    request: Request<v1::ListPodSandboxStatsRequest>,
) -> Answer<v1::ListPodSandboxStatsResponse> {
    let filter = filter::sandbox_stats(request.into_inner().filter);
    let stats = services.pods.list_pod_sandbox_stats(&filter).await;
    Ok(v1::ListPodSandboxStatsResponse { stats: stats.iter().map(encode::sandbox).collect() })
}

pub(crate) async fn stream_sandboxes(
    services: &Services,
    request: Request<v1::StreamPodSandboxStatsRequest>,
) -> Answer<Stream<v1::StreamPodSandboxStatsResponse>> {
    let filter = filter::sandbox_stats(request.into_inner().filter);
    let stats = services.pods.list_pod_sandbox_stats(&filter).await;
    let message = |pod_sandbox_stats| v1::StreamPodSandboxStatsResponse { pod_sandbox_stats };
    Ok(chunks::stream(stats, encode::sandbox, message))
}
