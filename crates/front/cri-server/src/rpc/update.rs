//! Changes to what runs: limits and log files.

use crio_cri_api::v1;
use tonic::Request;

use super::pods;
use crate::Services;
use crate::call::{Answer, about};
use crate::convert::{field, resources};
use crate::status::refused;

pub(crate) async fn container_resources(
    services: &Services,
    request: Request<v1::UpdateContainerResourcesRequest>,
) -> Answer<v1::UpdateContainerResourcesResponse> {
    let request = request.into_inner();
    about(&request.container_id);
    let limits = field::required("linux", request.linux).map_err(refused)?;
    let limits = resources::decode("linux", limits).map_err(refused)?;
    services.pods.update_container_resources(&request.container_id, limits).await.map_err(pods)?;
    Ok(v1::UpdateContainerResourcesResponse {})
}

/// kubelet has changed the pod's cgroup itself and tells about it.
pub(crate) fn sandbox_resources(
    services: &Services,
    request: Request<v1::UpdatePodSandboxResourcesRequest>,
) -> Answer<v1::UpdatePodSandboxResourcesResponse> {
    let request = request.into_inner();
    let id = &request.pod_sandbox_id;
    about(id);
    let decode = |field: &str, limits: Option<v1::LinuxContainerResources>| {
        limits.map(|limits| resources::decode(field, limits)).transpose().map_err(refused)
    };
    let (overhead, limits) = (decode("overhead", request.overhead)?, decode("resources", request.resources)?);
    services.pods.update_pod_sandbox_resources(id, overhead, limits).map_err(pods)?;
    Ok(v1::UpdatePodSandboxResourcesResponse {})
}

pub(crate) async fn reopen_log(
    services: &Services,
    request: Request<v1::ReopenContainerLogRequest>,
) -> Answer<v1::ReopenContainerLogResponse> {
    let id = request.into_inner().container_id;
    about(&id);
    services.pods.reopen_container_log(&id).await.map_err(pods)?;
    Ok(v1::ReopenContainerLogResponse {})
}
