//! The event stream.
//!
//! Whoever publishes never waits for us: a subscription is a bounded queue, and a client that falls behind misses
//! events, of which we log the number. It lists again in its own time, as kubelet does every five minutes.

use crio_cri_api::v1;
use crio_pods::{EventStream, Watched};
use futures_util::StreamExt as _;
use futures_util::stream;
use tonic::Request;

use super::chunks::Stream;
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
    Ok(stream::unfold(services.pods.subscribe(), next).boxed())
}

async fn next(mut events: EventStream) -> Option<(Result<v1::ContainerEventResponse, tonic::Status>, EventStream)> {
    loop {
        match events.next().await {
            Watched::Event(watched) => return Some((Ok(event::encode(&watched)), events)),
            Watched::Missed(count) => tracing::warn!(count, "a client reads events too slowly and missed some"),
            Watched::Closed => return None,
        }
    }
}
