//! CheckpointContainer.

use std::time::Duration;

use crio_cri_api::v1;
use tonic::Request;

use super::pods;
use crate::Services;
use crate::call::{Answer, about};

pub(crate) async fn container(
    services: &Services,
    request: Request<v1::CheckpointContainerRequest>,
) -> Answer<v1::CheckpointContainerResponse> {
    let request = request.into_inner();
    about(&request.container_id);
    let written =
        services.pods.checkpoint_container(&request.container_id, request.location.into(), limit(request.timeout));
    written.await.map_err(pods)?;
    Ok(v1::CheckpointContainerResponse {})
}

/// Zero stands for the usual limit, and so does what is no time at all.
fn limit(seconds: i64) -> Option<Duration> {
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_the_usual_time() {
        let cases = [(0, None), (-1, None), (i64::MIN, None), (5, Some(Duration::from_secs(5)))];
        for (seconds, expected) in cases {
            assert_eq!(limit(seconds), expected, "{seconds}");
        }
    }
}
