//! Sandboxes: run, stop, remove, status and lists.

use crio_cri_api::v1;
use crio_types::Timestamp;
use tonic::Request;

use super::chunks::{self, Stream};
use super::{info, pods};
use crate::call::{Answer, about};
use crate::convert::{filter, sandbox, status as encode};
use crate::status::refused;
use crate::{PodEvents, Services, deadline};

pub(crate) async fn run(
    services: &Services,
    request: Request<v1::RunPodSandboxRequest>,
) -> Answer<v1::RunPodSandboxResponse> {
    let request = request.into_inner();
    let config = crate::convert::field::required("config", request.config).map_err(refused)?;
    let config = sandbox::decode("config", config).map_err(refused)?;
    about(&crio_types::sandbox_name(&config.metadata));
    let id = services.pods.run_pod_sandbox(config, &request.runtime_handler).await.map_err(pods)?;
    Ok(v1::RunPodSandboxResponse { pod_sandbox_id: id.into() })
}

/// The grace period of the containers is what remains of the caller's deadline.
pub(crate) async fn stop(
    services: &Services,
    request: Request<v1::StopPodSandboxRequest>,
) -> Answer<v1::StopPodSandboxResponse> {
    let deadline = deadline::of(request.metadata());
    let id = request.into_inner().pod_sandbox_id;
    about(&id);
    services.pods.stop_pod_sandbox(&id, deadline).await.map_err(pods)?;
    Ok(v1::StopPodSandboxResponse {})
}

pub(crate) async fn remove(
    services: &Services,
    request: Request<v1::RemovePodSandboxRequest>,
) -> Answer<v1::RemovePodSandboxResponse> {
    let id = request.into_inner().pod_sandbox_id;
    about(&id);
    services.pods.remove_pod_sandbox(&id).await.map_err(pods)?;
    Ok(v1::RemovePodSandboxResponse {})
}

/// One sandbox. Clients that watch events also get its containers, as of a moment before they were read.
pub(crate) async fn status(
    services: &Services,
    request: Request<v1::PodSandboxStatusRequest>,
) -> Answer<v1::PodSandboxStatusResponse> {
    let request = request.into_inner();
    about(&request.pod_sandbox_id);
    let now = Timestamp::now();
    let sandbox = services.pods.pod_sandbox_status(&request.pod_sandbox_id).map_err(pods)?;
    let mut response = v1::PodSandboxStatusResponse { status: Some(encode::sandbox(&sandbox)), ..Default::default() };
    if services.settings().pod_events == PodEvents::Enabled {
        let containers = services.pods.pod_sandbox_containers(sandbox.id.as_str()).map_err(pods)?;
        response.containers_statuses = containers.iter().map(|container| encode::container(container)).collect();
        response.timestamp = now.0;
    }
    if request.verbose {
        response.info = info(&services.pods.pod_sandbox_info(sandbox.id.as_str()).await.map_err(pods)?);
    }
    Ok(response)
}

pub(crate) fn list(
    services: &Services,
    request: Request<v1::ListPodSandboxRequest>,
) -> Answer<v1::ListPodSandboxResponse> {
    let filter = filter::sandboxes(request.into_inner().filter).map_err(refused)?;
    let sandboxes = services.pods.list_pod_sandboxes(&filter);
    Ok(v1::ListPodSandboxResponse { items: sandboxes.iter().map(|sandbox| encode::sandbox_item(sandbox)).collect() })
}

pub(crate) fn stream(
    services: &Services,
    request: Request<v1::StreamPodSandboxesRequest>,
) -> Answer<Stream<v1::StreamPodSandboxesResponse>> {
    let filter = filter::sandboxes(request.into_inner().filter).map_err(refused)?;
    let sandboxes = services.pods.list_pod_sandboxes(&filter);
    let message = |pod_sandboxes| v1::StreamPodSandboxesResponse { pod_sandboxes };
    Ok(chunks::stream(sandboxes, |sandbox| encode::sandbox_item(sandbox), message))
}
