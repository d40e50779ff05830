//! Containers: create, start, stop, remove, status and lists.

use std::time::Duration;

use crio_cri_api::v1;
use tonic::Request;

use super::chunks::{self, Stream};
use super::{info, pods};
use crate::Services;
use crate::call::{Answer, about};
use crate::convert::{container, field, filter, status as encode};
use crate::status::refused;

/// The longest grace period: a year. Kubernetes allows any number; clocks do not.
const MAX_GRACE_SECONDS: i64 = 365 * 24 * 3600;

/// The pod's configuration, which the request repeats, is not read: the sandbox knows its own.
pub(crate) async fn create(
    services: &Services,
    request: Request<v1::CreateContainerRequest>,
) -> Answer<v1::CreateContainerResponse> {
    let request = request.into_inner();
    let config = field::required("config", request.config).map_err(refused)?;
    let config = container::decode("config", config).map_err(refused)?;
    about(&config.metadata.name);
    let id = services.pods.create_container(&request.pod_sandbox_id, config).await.map_err(pods)?;
    Ok(v1::CreateContainerResponse { container_id: id.into() })
}

pub(crate) async fn start(
    services: &Services,
    request: Request<v1::StartContainerRequest>,
) -> Answer<v1::StartContainerResponse> {
    let id = request.into_inner().container_id;
    about(&id);
    services.pods.start_container(&id).await.map_err(pods)?;
    Ok(v1::StartContainerResponse {})
}

pub(crate) async fn stop(
    services: &Services,
    request: Request<v1::StopContainerRequest>,
) -> Answer<v1::StopContainerResponse> {
    let request = request.into_inner();
    about(&request.container_id);
    services.pods.stop_container(&request.container_id, grace(request.timeout)).await.map_err(pods)?;
    Ok(v1::StopContainerResponse {})
}

/// The time a container gets to end by itself; none when the request says zero or less.
fn grace(seconds: i64) -> Duration {
    Duration::from_secs(seconds.clamp(0, MAX_GRACE_SECONDS).unsigned_abs())
}

pub(crate) async fn remove(
    services: &Services,
    request: Request<v1::RemoveContainerRequest>,
) -> Answer<v1::RemoveContainerResponse> {
    let id = request.into_inner().container_id;
    about(&id);
    services.pods.remove_container(&id).await.map_err(pods)?;
    Ok(v1::RemoveContainerResponse {})
}

pub(crate) async fn status(
    services: &Services,
    request: Request<v1::ContainerStatusRequest>,
) -> Answer<v1::ContainerStatusResponse> {
    let request = request.into_inner();
    about(&request.container_id);
    let container = services.pods.container_status(&request.container_id).map_err(pods)?;
    let mut response =
        v1::ContainerStatusResponse { status: Some(encode::container(&container)), ..Default::default() };
    if request.verbose {
        response.info = info(&services.pods.container_info(container.id.as_str()).await.map_err(pods)?);
    }
    Ok(response)
}

pub(crate) fn list(
    services: &Services,
    request: Request<v1::ListContainersRequest>,
) -> Answer<v1::ListContainersResponse> {
    let filter = filter::containers(request.into_inner().filter).map_err(refused)?;
    let containers = services.pods.list_containers(&filter);
    Ok(v1::ListContainersResponse {
        containers: containers.iter().map(|container| encode::container_item(container)).collect(),
    })
}

pub(crate) fn stream(
    services: &Services,
    request: Request<v1::StreamContainersRequest>,
) -> Answer<Stream<v1::StreamContainersResponse>> {
    let filter = filter::containers(request.into_inner().filter).map_err(refused)?;
    let containers = services.pods.list_containers(&filter);
    let message = |containers| v1::StreamContainersResponse { containers };
    Ok(chunks::stream(containers, |container| encode::container_item(container), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_period_is_never_negative_and_never_overflows_a_clock() {
        let cases = [(0, 0), (-1, 0), (i64::MIN, 0), (30, 30), (i64::MAX, 365 * 24 * 3600)];
        for (seconds, expected) in cases {
            assert_eq!(grace(seconds), Duration::from_secs(expected), "{seconds}");
            assert!(std::time::Instant::now().checked_add(grace(seconds)).is_some(), "{seconds}");
        }
    }
}
