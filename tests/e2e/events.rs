//! Events, for clients that watch instead of polling.

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{ContainerEventResponse, ContainerEventType, GetEventsRequest, PodSandboxStatusRequest};
use crio_testkit::Options;
use crio_tests::{PATIENCE, Stage, refused};
use tokio::time::timeout;
use tonic::{Code, Streaming};

async fn next(events: &mut Streaming<ContainerEventResponse>) -> Result<ContainerEventResponse> {
    let event = timeout(PATIENCE, events.message()).await.context("no event comes")??;
    event.context("the stream ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_in_order_to_everybody() -> Result<()> {
    let stage = Stage::set_with(Options {
        crio_conf: "[crio.runtime]\nenable_pod_events = true\n".to_owned(),
        ..Options::default()
    })
    .await?;
    let mut events = stage.cri.runtime().get_container_events(GetEventsRequest {}).await?.into_inner();
    let mut others = stage.cri.runtime().get_container_events(GetEventsRequest {}).await?.into_inner();
    let pod = stage.pod("watched").await?;
    let ended = stage.finish(&pod, &stage.shell("main", "exit 4")).await?;
    stage.cri.remove(&ended.id).await?;
    stage.cri.stop_pod(&pod.id).await?;
    stage.cri.remove_pod(&pod.id).await?;

    use ContainerEventType::{
        ContainerCreatedEvent, ContainerDeletedEvent, ContainerStartedEvent, ContainerStoppedEvent,
    };
    let expected = [
        (&pod.id, ContainerCreatedEvent),
        (&pod.id, ContainerStartedEvent),
        (&ended.id, ContainerCreatedEvent),
        (&ended.id, ContainerStartedEvent),
        (&ended.id, ContainerStoppedEvent),
        (&ended.id, ContainerDeletedEvent),
        (&pod.id, ContainerStoppedEvent),
        (&pod.id, ContainerDeletedEvent),
    ];
    let mut before = 0;
    for (id, kind) in expected {
        for stream in [&mut events, &mut others] {
            let event = next(stream).await?;
            assert_eq!((&event.container_id, event.container_event_type()), (id, kind));
            let status = event.pod_sandbox_status.context("the pod's status")?;
            assert_eq!(status.id, pod.id);
            assert!(event.created_at >= before, "times do not go back");
            before = event.created_at;
            let told = event.containers_statuses.iter().find(|status| status.id == ended.id);
            if kind == ContainerStoppedEvent && *id == ended.id {
                assert_eq!(told.map(|status| status.exit_code), Some(4), "the status is as new as the event");
            }
        }
    }
    drop(others);

    let pod = stage.pod("status").await?;
    stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let request = PodSandboxStatusRequest { pod_sandbox_id: pod.id.clone(), verbose: false };
    let answer = stage.cri.runtime().pod_sandbox_status(request).await?.into_inner();
    assert_eq!(answer.containers_statuses.len(), 1);
    assert!(answer.timestamp > 0);
    drop(events);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_option_there_are_none() -> Result<()> {
    let stage = Stage::set().await?;
    let answer = stage.cri.runtime().get_container_events(GetEventsRequest {}).await;
    refused(answer, Code::Unimplemented, &["enable_pod_events"])?;
    stage.close().await
}
