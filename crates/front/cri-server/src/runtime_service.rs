//! The generated runtime service, one line for each RPC.
//!
//! ExecSync counts as reading: it is what probes do, several times a second.

use crio_cri_api::v1;
use crio_cri_api::v1::runtime_service_server::RuntimeService;
use tonic::{Request, Response, Status};

use crate::Services;
use crate::call::Effect::{Read, Write};
use crate::call::observe;
use crate::rpc::chunks::Stream;
use crate::rpc::{checkpoint, container, events, exec, metrics, runtime, sandbox, stats, streaming, unbuilt, update};

/// Serves sandboxes and containers.
#[derive(Debug)]
pub(crate) struct RuntimeRpc(pub(crate) Services);

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RuntimeService for RuntimeRpc {
    type StreamPodSandboxesStream = Stream<v1::StreamPodSandboxesResponse>;
    type StreamContainersStream = Stream<v1::StreamContainersResponse>;
    type StreamContainerStatsStream = Stream<v1::StreamContainerStatsResponse>;
    type StreamPodSandboxStatsStream = Stream<v1::StreamPodSandboxStatsResponse>;
    type GetContainerEventsStream = Stream<v1::ContainerEventResponse>;
    type StreamPodSandboxMetricsStream = Stream<v1::StreamPodSandboxMetricsResponse>;

    async fn version(&self, request: Request<v1::VersionRequest>) -> Reply<v1::VersionResponse> {
        observe("Version", Read, async { runtime::version(&self.0, request) }).await
    }

    async fn run_pod_sandbox(&self, request: Request<v1::RunPodSandboxRequest>) -> Reply<v1::RunPodSandboxResponse> {
        observe("RunPodSandbox", Write, Box::pin(sandbox::run(&self.0, request))).await
    }

    async fn stop_pod_sandbox(&self, request: Request<v1::StopPodSandboxRequest>) -> Reply<v1::StopPodSandboxResponse> {
        observe("StopPodSandbox", Write, sandbox::stop(&self.0, request)).await
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<v1::RemovePodSandboxRequest>,
    ) -> Reply<v1::RemovePodSandboxResponse> {
        observe("RemovePodSandbox", Write, sandbox::remove(&self.0, request)).await
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<v1::PodSandboxStatusRequest>,
    ) -> Reply<v1::PodSandboxStatusResponse> {
        observe("PodSandboxStatus", Read, sandbox::status(&self.0, request)).await
    }

    async fn list_pod_sandbox(&self, request: Request<v1::ListPodSandboxRequest>) -> Reply<v1::ListPodSandboxResponse> {
        observe("ListPodSandbox", Read, async { sandbox::list(&self.0, request) }).await
    }

    async fn stream_pod_sandboxes(
        &self,
        request: Request<v1::StreamPodSandboxesRequest>,
    ) -> Reply<Self::StreamPodSandboxesStream> {
        observe("StreamPodSandboxes", Read, async { sandbox::stream(&self.0, request) }).await
    }

    async fn create_container(
        &self,
        request: Request<v1::CreateContainerRequest>,
    ) -> Reply<v1::CreateContainerResponse> {
        observe("CreateContainer", Write, Box::pin(container::create(&self.0, request))).await
    }

    async fn start_container(&self, request: Request<v1::StartContainerRequest>) -> Reply<v1::StartContainerResponse> {
        observe("StartContainer", Write, container::start(&self.0, request)).await
    }

    async fn stop_container(&self, request: Request<v1::StopContainerRequest>) -> Reply<v1::StopContainerResponse> {
        observe("StopContainer", Write, container::stop(&self.0, request)).await
    }

    async fn remove_container(
        &self,
        request: Request<v1::RemoveContainerRequest>,
    ) -> Reply<v1::RemoveContainerResponse> {
        observe("RemoveContainer", Write, container::remove(&self.0, request)).await
    }

    async fn list_containers(&self, request: Request<v1::ListContainersRequest>) -> Reply<v1::ListContainersResponse> {
        observe("ListContainers", Read, async { container::list(&self.0, request) }).await
    }

    async fn stream_containers(
        &self,
        request: Request<v1::StreamContainersRequest>,
    ) -> Reply<Self::StreamContainersStream> {
        observe("StreamContainers", Read, async { container::stream(&self.0, request) }).await
    }

    async fn container_status(
        &self,
        request: Request<v1::ContainerStatusRequest>,
    ) -> Reply<v1::ContainerStatusResponse> {
        observe("ContainerStatus", Read, container::status(&self.0, request)).await
    }

    async fn update_container_resources(
        &self,
        request: Request<v1::UpdateContainerResourcesRequest>,
    ) -> Reply<v1::UpdateContainerResourcesResponse> {
        observe("UpdateContainerResources", Write, update::container_resources(&self.0, request)).await
    }

    async fn reopen_container_log(
        &self,
        request: Request<v1::ReopenContainerLogRequest>,
    ) -> Reply<v1::ReopenContainerLogResponse> {
        observe("ReopenContainerLog", Write, update::reopen_log(&self.0, request)).await
    }

    async fn exec_sync(&self, request: Request<v1::ExecSyncRequest>) -> Reply<v1::ExecSyncResponse> {
        observe("ExecSync", Read, exec::sync(&self.0, request)).await
    }

    async fn exec(&self, request: Request<v1::ExecRequest>) -> Reply<v1::ExecResponse> {
        observe("Exec", Write, async { streaming::exec(&self.0, request) }).await
    }

    async fn attach(&self, request: Request<v1::AttachRequest>) -> Reply<v1::AttachResponse> {
        observe("Attach", Write, async { streaming::attach(&self.0, request) }).await
    }

    async fn port_forward(&self, request: Request<v1::PortForwardRequest>) -> Reply<v1::PortForwardResponse> {
        observe("PortForward", Write, async { streaming::port_forward(&self.0, request) }).await
    }

    async fn container_stats(&self, request: Request<v1::ContainerStatsRequest>) -> Reply<v1::ContainerStatsResponse> {
        observe("ContainerStats", Read, stats::container(&self.0, request)).await
    }

    async fn list_container_stats(
        &self,
        request: Request<v1::ListContainerStatsRequest>,
    ) -> Reply<v1::ListContainerStatsResponse> {
        observe("ListContainerStats", Read, stats::list_containers(&self.0, request)).await
    }

    async fn stream_container_stats(
        &self,
        request: Request<v1::StreamContainerStatsRequest>,
    ) -> Reply<Self::StreamContainerStatsStream> {
        observe("StreamContainerStats", Read, stats::stream_containers(&self.0, request)).await
    }

    async fn pod_sandbox_stats(
        &self,
        request: Request<v1::PodSandboxStatsRequest>,
    ) -> Reply<v1::PodSandboxStatsResponse> {
        observe("PodSandboxStats", Read, stats::sandbox(&self.0, request)).await
    }

    async fn list_pod_sandbox_stats(
        &self,
        request: Request<v1::ListPodSandboxStatsRequest>,
    ) -> Reply<v1::ListPodSandboxStatsResponse> {
        observe("ListPodSandboxStats", Read, stats::list_sandboxes(&self.0, request)).await
    }

    async fn stream_pod_sandbox_stats(
        &self,
        request: Request<v1::StreamPodSandboxStatsRequest>,
    ) -> Reply<Self::StreamPodSandboxStatsStream> {
        observe("StreamPodSandboxStats", Read, stats::stream_sandboxes(&self.0, request)).await
    }

    async fn update_runtime_config(
        &self,
        request: Request<v1::UpdateRuntimeConfigRequest>,
    ) -> Reply<v1::UpdateRuntimeConfigResponse> {
        observe("UpdateRuntimeConfig", Write, async { runtime::update_config(&self.0, request) }).await
    }

    async fn status(&self, request: Request<v1::StatusRequest>) -> Reply<v1::StatusResponse> {
        observe("Status", Read, async { runtime::status(&self.0, request) }).await
    }

    async fn checkpoint_container(
        &self,
        request: Request<v1::CheckpointContainerRequest>,
    ) -> Reply<v1::CheckpointContainerResponse> {
        observe("CheckpointContainer", Write, checkpoint::container(&self.0, request)).await
    }

    async fn checkpoint_pod(&self, _request: Request<v1::CheckpointPodRequest>) -> Reply<v1::CheckpointPodResponse> {
        observe("CheckpointPod", Read, async { Err(unbuilt::pod_checkpoint()) }).await
    }

    async fn restore_pod(&self, _request: Request<v1::RestorePodRequest>) -> Reply<v1::RestorePodResponse> {
        observe("RestorePod", Read, async { Err(unbuilt::pod_checkpoint()) }).await
    }

    async fn get_container_events(
        &self,
        request: Request<v1::GetEventsRequest>,
    ) -> Reply<Self::GetContainerEventsStream> {
        observe("GetContainerEvents", Read, async { events::watch(&self.0, request) }).await
    }

    async fn list_metric_descriptors(
        &self,
        request: Request<v1::ListMetricDescriptorsRequest>,
    ) -> Reply<v1::ListMetricDescriptorsResponse> {
        observe("ListMetricDescriptors", Read, async { metrics::descriptors(&self.0, request) }).await
    }

    async fn list_pod_sandbox_metrics(
        &self,
        request: Request<v1::ListPodSandboxMetricsRequest>,
    ) -> Reply<v1::ListPodSandboxMetricsResponse> {
        observe("ListPodSandboxMetrics", Read, metrics::list(&self.0, request)).await
    }

    async fn stream_pod_sandbox_metrics(
        &self,
        request: Request<v1::StreamPodSandboxMetricsRequest>,
    ) -> Reply<Self::StreamPodSandboxMetricsStream> {
        observe("StreamPodSandboxMetrics", Read, metrics::stream(&self.0, request)).await
    }

    async fn runtime_config(&self, request: Request<v1::RuntimeConfigRequest>) -> Reply<v1::RuntimeConfigResponse> {
        observe("RuntimeConfig", Read, async { runtime::config(&self.0, request) }).await
    }

    async fn update_pod_sandbox_resources(
        &self,
        request: Request<v1::UpdatePodSandboxResourcesRequest>,
    ) -> Reply<v1::UpdatePodSandboxResourcesResponse> {
        observe("UpdatePodSandboxResources", Write, async { update::sandbox_resources(&self.0, request) }).await
    }
}
