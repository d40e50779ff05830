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
    services.pods.update_container_resources(&request.container_id, &limits).await.map_err(pods)?;
    Ok(v1::UpdateContainerResourcesResponse {})
}

/// kubelet has changed the pod's cgroup itself and tells about it; there is nothing left to do but to know the pod.
pub(crate) fn sandbox_resources(
    services: &Services,
    request: Request<v1::UpdatePodSandboxResourcesRequest>,
) -> Answer<v1::UpdatePodSandboxResourcesResponse> {
    let request = request.into_inner();
    about(&request.pod_sandbox_id);
    for (name, limits) in [("overhead", request.overhead), ("resources", request.resources)] {
        if let Some(limits) = limits {
            resources::decode(name, limits).map_err(refused)?;
        }
    }
    services.pods.pod_sandbox_status(&request.pod_sandbox_id).map_err(pods)?;
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
