//! The event stream.
//!
//! Whoever publishes never waits for us: a client that falls behind is told the state of everything instead of what it missed.

use crio_cri_api::v1;
use crio_pods::EventStream;
use futures_util::StreamExt as _;
use futures_util::stream;
use tonic::Request;

use super::chunks::Stream;
use super::pods;
use crate::call::Answer;
use crate::convert::event;
use crate::{PodEvents, Services, status};

pub(crate) fn watch(
    services: &Services,
    _request: Request<v1::GetEventsRequest>,
) -> Answer<Stream<v1::ContainerEventResponse>> {
    if services.settings().pod_events == PodEvents::Disabled {
        return Err(status::unimplemented("events are disabled: enable_pod_events is false"));
    }
    let events = services.pods.subscribe().map_err(pods)?;
    Ok(stream::unfold(events, next).boxed())
}

async fn next(mut events: EventStream) -> Option<(Result<v1::ContainerEventResponse, tonic::Status>, EventStream)> {
    let watched = events.next().await?;
    Some((Ok(event::encode(&watched)), events))
}
