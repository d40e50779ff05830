//! Requests without content, and ids of nothing, on every RPC.

use anyhow::Result;
use crio_cri_api::v1::*;
use crio_testkit::Cri;
use crio_testkit::request::image_spec;
use crio_tests::Stage;
use tonic::{Code, Status};

/// What an RPC answered, by its name.
type Answer = (&'static str, Result<(), Status>);

fn check(answers: &[Answer], expected: &[(&str, Code)]) {
    let seen: Vec<(&str, Code)> = answers
        .iter()
        .map(|(name, answer)| (*name, answer.as_ref().map_or_else(Status::code, |()| Code::Ok)))
        .collect();
    assert_eq!(seen, expected, "{answers:#?}");
    for (name, answer) in answers {
        if let Err(status) = answer {
            assert!(!status.message().is_empty(), "{name} says why");
        }
    }
}

/// Every call on a container that names nothing but its id.
async fn about_container(cri: &Cri, id: &str) -> Vec<Answer> {
    let container_id = id.to_owned();
    let id = || container_id.clone();
    let mut runtime = cri.runtime();
    let update = UpdateContainerResourcesRequest {
        container_id: id(),
        linux: Some(LinuxContainerResources::default()),
        ..Default::default()
    };
    let exec = ExecSyncRequest { container_id: id(), cmd: vec!["true".to_owned()], timeout: 1 };
    let status = ContainerStatusRequest { container_id: id(), verbose: true };
    let session = ExecRequest { container_id: id(), cmd: vec!["true".to_owned()], stdout: true, ..Default::default() };
    let attach = AttachRequest { container_id: id(), stdout: true, ..Default::default() };
    vec![
        ("start", runtime.start_container(StartContainerRequest { container_id: id() }).await.map(drop)),
        ("stop", runtime.stop_container(StopContainerRequest { container_id: id(), timeout: 1 }).await.map(drop)),
        ("remove", runtime.remove_container(RemoveContainerRequest { container_id: id() }).await.map(drop)),
        ("status", runtime.container_status(status).await.map(drop)),
        ("update", runtime.update_container_resources(update).await.map(drop)),
        ("reopen", runtime.reopen_container_log(ReopenContainerLogRequest { container_id: id() }).await.map(drop)),
        ("exec", runtime.exec_sync(exec).await.map(drop)),
        ("stats", runtime.container_stats(ContainerStatsRequest { container_id: id() }).await.map(drop)),
        ("session", runtime.exec(session).await.map(drop)),
        ("attach", runtime.attach(attach).await.map(drop)),
    ]
}

/// Every call on a pod that names nothing but its id.
async fn about_pod(cri: &Cri, id: &str, config: &ContainerConfig) -> Vec<Answer> {
    let pod_sandbox_id = id.to_owned();
    let id = || pod_sandbox_id.clone();
    let mut runtime = cri.runtime();
    let create = CreateContainerRequest { pod_sandbox_id: id(), config: Some(config.clone()), ..Default::default() };
    let status = PodSandboxStatusRequest { pod_sandbox_id: id(), verbose: true };
    let update = UpdatePodSandboxResourcesRequest { pod_sandbox_id: id(), ..Default::default() };
    let forward = PortForwardRequest { pod_sandbox_id: id(), port: vec![80] };
    vec![
        ("stop", runtime.stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: id() }).await.map(drop)),
        ("remove", runtime.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: id() }).await.map(drop)),
        ("status", runtime.pod_sandbox_status(status).await.map(drop)),
        ("create", runtime.create_container(create).await.map(drop)),
        ("stats", runtime.pod_sandbox_stats(PodSandboxStatsRequest { pod_sandbox_id: id() }).await.map(drop)),
        ("update", runtime.update_pod_sandbox_resources(update).await.map(drop)),
        ("forward", runtime.port_forward(forward).await.map(drop)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_ids_are_not_found_or_gone_already() -> Result<()> {
    let stage = Stage::set().await?;
    let config = stage.shell("main", "true");
    let long = "a".repeat(10_000);
    for id in ["0123456789abcdef", "5f0e4a2c-uuid-with-dashes", "../../etc", "\u{fc}", &long] {
        let containers = [
            ("start", Code::NotFound),
            ("stop", Code::Ok),
            ("remove", Code::Ok),
            ("status", Code::NotFound),
            ("update", Code::NotFound),
            ("reopen", Code::NotFound),
            ("exec", Code::NotFound),
            ("stats", Code::NotFound),
            ("session", Code::NotFound),
            ("attach", Code::NotFound),
        ];
        check(&about_container(&stage.cri, id).await, &containers);
        let pods = [
            ("stop", Code::Ok),
            ("remove", Code::Ok),
            ("status", Code::NotFound),
            ("create", Code::NotFound),
            ("stats", Code::NotFound),
            ("update", Code::NotFound),
            ("forward", Code::NotFound),
        ];
        check(&Box::pin(about_pod(&stage.cri, id, &config)).await, &pods);
    }
    let mut images = stage.cri.image();
    let nothing = Some(image_spec(&"0".repeat(64)));
    let status = images.image_status(ImageStatusRequest { image: nothing.clone(), verbose: true }).await?;
    assert_eq!(status.into_inner().image, None);
    images.remove_image(RemoveImageRequest { image: nothing }).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_id_is_no_id() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("there").await?;
    stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let all = |names: &[&'static str]| names.iter().map(|&name| (name, Code::InvalidArgument)).collect::<Vec<_>>();
    let containers =
        all(&["start", "stop", "remove", "status", "update", "reopen", "exec", "stats", "session", "attach"]);
    check(&about_container(&stage.cri, "").await, &containers);
    let pods = all(&["stop", "remove", "status", "create", "stats", "update", "forward"]);
    let config = stage.shell("main", "true");
    check(&Box::pin(about_pod(&stage.cri, "", &config)).await, &pods);
    assert_eq!((stage.cri.pods().await?.len(), stage.cri.containers().await?.len()), (1, 1));
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_requests_are_refused_or_mean_everything() -> Result<()> {
    let stage = Stage::set().await?;
    let mut runtime = stage.cri.runtime();
    let mut images = stage.cri.image();
    let refusals = vec![
        ("run", runtime.run_pod_sandbox(RunPodSandboxRequest::default()).await.map(drop)),
        ("create", runtime.create_container(CreateContainerRequest::default()).await.map(drop)),
        ("update", runtime.update_container_resources(UpdateContainerResourcesRequest::default()).await.map(drop)),
        ("exec", runtime.exec_sync(ExecSyncRequest::default()).await.map(drop)),
        ("pull", images.pull_image(PullImageRequest::default()).await.map(drop)),
        ("image", images.image_status(ImageStatusRequest::default()).await.map(drop)),
        ("remove", images.remove_image(RemoveImageRequest::default()).await.map(drop)),
        ("session", runtime.exec(ExecRequest::default()).await.map(drop)),
        ("attach", runtime.attach(AttachRequest::default()).await.map(drop)),
        ("forward", runtime.port_forward(PortForwardRequest::default()).await.map(drop)),
    ];
    let names = ["run", "create", "update", "exec", "pull", "image", "remove", "session", "attach", "forward"];
    check(&refusals, &names.map(|name| (name, Code::InvalidArgument)));
    let everything = vec![
        ("version", runtime.version(VersionRequest::default()).await.map(drop)),
        ("status", runtime.status(StatusRequest::default()).await.map(drop)),
        ("config", runtime.runtime_config(RuntimeConfigRequest {}).await.map(drop)),
        ("configure", runtime.update_runtime_config(UpdateRuntimeConfigRequest::default()).await.map(drop)),
        ("pods", runtime.list_pod_sandbox(ListPodSandboxRequest::default()).await.map(drop)),
        ("containers", runtime.list_containers(ListContainersRequest::default()).await.map(drop)),
        ("stats", runtime.list_container_stats(ListContainerStatsRequest::default()).await.map(drop)),
        ("pod stats", runtime.list_pod_sandbox_stats(ListPodSandboxStatsRequest::default()).await.map(drop)),
        ("images", images.list_images(ListImagesRequest::default()).await.map(drop)),
        ("space", images.image_fs_info(ImageFsInfoRequest {}).await.map(drop)),
        ("descriptors", runtime.list_metric_descriptors(ListMetricDescriptorsRequest {}).await.map(drop)),
        ("metrics", runtime.list_pod_sandbox_metrics(ListPodSandboxMetricsRequest {}).await.map(drop)),
    ];
    let names: Vec<_> = everything.iter().map(|(name, _)| (*name, Code::Ok)).collect();
    check(&everything, &names);
    let unbuilt = vec![
        ("checkpoint", runtime.checkpoint_container(CheckpointContainerRequest::default()).await.map(drop)),
        ("checkpoint pod", runtime.checkpoint_pod(CheckpointPodRequest::default()).await.map(drop)),
        ("restore", runtime.restore_pod(RestorePodRequest::default()).await.map(drop)),
    ];
    check(&unbuilt, &["checkpoint", "checkpoint pod", "restore"].map(|name| (name, Code::Unimplemented)));
    stage.close().await
}
