//! Lists and what selects from them, and calls that are made twice.

use anyhow::Result;
use crio_cri_api::v1::{
    ContainerFilter, ContainerState, ContainerStateValue, ListContainersRequest, ListPodSandboxRequest,
    PodSandboxFilter, PodSandboxState, PodSandboxStateValue, StreamContainersRequest, StreamPodSandboxesRequest,
};
use crio_tests::{Pod, Stage, refused};
use tokio::task::JoinSet;
use tonic::Code;

async fn containers(stage: &Stage, filter: ContainerFilter) -> Result<Vec<String>> {
    let request = ListContainersRequest { filter: Some(filter.clone()) };
    let listed = stage.cri.runtime().list_containers(request).await?.into_inner().containers;
    let mut streamed = Vec::new();
    let request = StreamContainersRequest { filter: Some(filter) };
    let mut stream = stage.cri.runtime().stream_containers(request).await?.into_inner();
    while let Some(message) = stream.message().await? {
        streamed.extend(message.containers);
    }
    assert_eq!(listed, streamed, "a stream has what a list has");
    let mut ids: Vec<String> = listed.into_iter().map(|container| container.id).collect();
    ids.sort();
    Ok(ids)
}

fn sorted(ids: &[&String]) -> Vec<String> {
    let mut ids: Vec<String> = ids.iter().map(|&id| id.clone()).collect();
    ids.sort();
    ids
}

fn label(key: &str, value: &str) -> std::collections::BTreeMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_are_selected_by_everything_at_once() -> Result<()> {
    let stage = Stage::set().await?;
    let (first, second) = (stage.pod("first").await?, stage.pod("second").await?);
    let labelled = |name: &str, value: &str, script: &str| {
        let mut config = stage.shell(name, script);
        config.labels = label("tier", value);
        config
    };
    let running = stage.start(&first, &labelled("running", "a", "sleep 1000")).await?;
    let ended = stage.finish(&first, &labelled("ended", "b", "true")).await?.id;
    let created = stage.cri.create(&second.id, &second.config, &labelled("created", "a", "true")).await?;
    let state = |state: ContainerState| Some(ContainerStateValue { state: state.into() });
    let all = ContainerFilter::default;
    let cases = [
        (all(), sorted(&[&running, &ended, &created])),
        (ContainerFilter { id: running.clone(), ..all() }, sorted(&[&running])),
        (ContainerFilter { id: running[..12].to_owned(), ..all() }, sorted(&[&running])),
        (ContainerFilter { id: "no-such".to_owned(), ..all() }, vec![]),
        (ContainerFilter { pod_sandbox_id: first.id.clone(), ..all() }, sorted(&[&running, &ended])),
        (ContainerFilter { state: state(ContainerState::ContainerExited), ..all() }, sorted(&[&ended])),
        (ContainerFilter { state: state(ContainerState::ContainerCreated), ..all() }, sorted(&[&created])),
        (ContainerFilter { label_selector: label("tier", "a"), ..all() }, sorted(&[&running, &created])),
        (ContainerFilter { label_selector: label("tier", "c"), ..all() }, vec![]),
        (
            ContainerFilter {
                pod_sandbox_id: first.id.clone(),
                label_selector: label("tier", "a"),
                state: state(ContainerState::ContainerRunning),
                ..all()
            },
            sorted(&[&running]),
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(containers(&stage, filter.clone()).await?, expected, "{filter:?}");
    }
    stage.close().await
}

async fn pods(stage: &Stage, filter: PodSandboxFilter) -> Result<Vec<String>> {
    let request = ListPodSandboxRequest { filter: Some(filter.clone()) };
    let listed = stage.cri.runtime().list_pod_sandbox(request).await?.into_inner().items;
    let mut streamed = Vec::new();
    let request = StreamPodSandboxesRequest { filter: Some(filter) };
    let mut stream = stage.cri.runtime().stream_pod_sandboxes(request).await?.into_inner();
    while let Some(message) = stream.message().await? {
        streamed.extend(message.pod_sandboxes);
    }
    assert_eq!(listed, streamed, "a stream has what a list has");
    let mut ids: Vec<String> = listed.into_iter().map(|pod| pod.id).collect();
    ids.sort();
    Ok(ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_selected_by_everything_at_once() -> Result<()> {
    let stage = Stage::set().await?;
    let (ready, stopped) = (stage.pod("ready").await?, stage.pod("stopped").await?);
    stage.cri.stop_pod(&stopped.id).await?;
    let state = |state: PodSandboxState| Some(PodSandboxStateValue { state: state.into() });
    let all = PodSandboxFilter::default;
    let cases = [
        (all(), sorted(&[&ready.id, &stopped.id])),
        (PodSandboxFilter { id: stopped.id.clone(), ..all() }, sorted(&[&stopped.id])),
        (PodSandboxFilter { id: "none".to_owned(), ..all() }, vec![]),
        (PodSandboxFilter { state: state(PodSandboxState::SandboxReady), ..all() }, sorted(&[&ready.id])),
        (PodSandboxFilter { state: state(PodSandboxState::SandboxNotready), ..all() }, sorted(&[&stopped.id])),
        (PodSandboxFilter { label_selector: label("app", "ready"), ..all() }, sorted(&[&ready.id])),
        (
            PodSandboxFilter {
                label_selector: label("app", "ready"),
                state: state(PodSandboxState::SandboxNotready),
                ..all()
            },
            vec![],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(pods(&stage, filter.clone()).await?, expected, "{filter:?}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_gets_the_same_pod_and_container() -> Result<()> {
    let stage = Stage::set().await?;
    let config = stage.node.pod("once");
    let mut runs = JoinSet::new();
    for _ in 0..5 {
        let (cri, config) = (stage.cri.clone(), config.clone());
        runs.spawn(async move { cri.run_pod(&config).await });
    }
    let ids = runs.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(stage.cri.run_pod(&config).await?, ids[0], "and once it is done, too");
    let pod = Pod { id: ids[0].clone(), config };

    let container = stage.shell("main", "sleep 1000");
    let mut creations = JoinSet::new();
    for _ in 0..5 {
        let (cri, pod, container) = (stage.cri.clone(), pod.clone(), container.clone());
        creations.spawn(async move { cri.create(&pod.id, &pod.config, &container).await });
    }
    let ids = creations.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(stage.cri.containers().await?.len(), 1);

    let mut other = pod.config.clone();
    other.hostname = "different".to_owned();
    refused(stage.cri.run_pod(&other).await, Code::AlreadyExists, &["once", &pod.id])?;
    let mut other = container.clone();
    other.command = vec!["/bin/true".to_owned()];
    refused(stage.cri.create(&pod.id, &pod.config, &other).await, Code::AlreadyExists, &["main", &ids[0]])?;

    stage.cri.remove_pod(&pod.id).await?;
    let again = stage.cri.run_pod(&pod.config).await?;
    assert_ne!(again, pod.id, "a removed pod's name is free");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_whose_caller_left_is_there_for_the_retry() -> Result<()> {
    let stage = Stage::set().await?;
    let config = stage.node.pod("left");
    let call = stage.cri.run_pod(&config);
    let left = tokio::time::timeout(std::time::Duration::from_millis(5), call).await;
    let id = stage.cri.run_pod(&config).await?;
    if let Ok(first) = left {
        assert_eq!(first?, id);
    }
    let listed = stage.cri.pods().await?;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0].id, id);
    stage.close().await
}
