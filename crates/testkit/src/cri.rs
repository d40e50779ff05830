//! A client of a CRI socket.
//!
//! Calls answer with the gRPC status as it came, because tests look at its code. [`Cri::runtime`] and [`Cri::image`] give the
//! generated clients for everything that has no method here.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use crio_cri_api::v1::image_service_client::ImageServiceClient;
use crio_cri_api::v1::runtime_service_client::RuntimeServiceClient;
use crio_cri_api::v1::{self, ContainerConfig, ContainerState, ContainerStatus, PodSandboxConfig};
use tonic::Status;
use tonic::transport::Channel;

use crate::{request, run};

/// A client.
#[derive(Debug, Clone)]
pub struct Cri {
    channel: Channel,
}

/// What an exec probe gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// Standard output as text.
    pub stdout: String,
    /// Standard error as text.
    pub stderr: String,
    /// Exit code.
    pub code: i32,
}

impl Cri {
    /// Connects to a socket.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(socket: &Path) -> Result<Self> {
        let channel = crio_cri_api::connect(socket).await.context("cannot connect to the CRI socket")?;
        Ok(Self { channel })
    }

    /// The generated client of the runtime service.
    #[must_use]
    pub fn runtime(&self) -> RuntimeServiceClient<Channel> {
        crio_cri_api::runtime_client(self.channel.clone())
    }

    /// The generated client of the image service.
    #[must_use]
    pub fn image(&self) -> ImageServiceClient<Channel> {
        crio_cri_api::image_client(self.channel.clone())
    }

    /// Version.
    ///
    /// # Errors
    /// As the daemon says; so for every call here.
    pub async fn version(&self) -> Result<v1::VersionResponse, Status> {
        Ok(self.runtime().version(v1::VersionRequest::default()).await?.into_inner())
    }

    /// PullImage without credentials; gives the image reference.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn pull(&self, image: &str) -> Result<String, Status> {
        let request = v1::PullImageRequest { image: Some(request::image_spec(image)), ..Default::default() };
        Ok(self.image().pull_image(request).await?.into_inner().image_ref)
    }

    /// RunPodSandbox under the default handler; gives the id.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn run_pod(&self, config: &PodSandboxConfig) -> Result<String, Status> {
        let request = v1::RunPodSandboxRequest { config: Some(config.clone()), ..Default::default() };
        Ok(self.runtime().run_pod_sandbox(request).await?.into_inner().pod_sandbox_id)
    }

    /// StopPodSandbox.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn stop_pod(&self, id: &str) -> Result<(), Status> {
        let pod_sandbox_id = id.to_owned();
        self.runtime().stop_pod_sandbox(v1::StopPodSandboxRequest { pod_sandbox_id }).await.map(drop)
    }

    /// RemovePodSandbox.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn remove_pod(&self, id: &str) -> Result<(), Status> {
        let pod_sandbox_id = id.to_owned();
        self.runtime().remove_pod_sandbox(v1::RemovePodSandboxRequest { pod_sandbox_id }).await.map(drop)
    }

    /// PodSandboxStatus.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn pod_status(&self, id: &str) -> Result<v1::PodSandboxStatus, Status> {
        let request = v1::PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: false };
        let status = self.runtime().pod_sandbox_status(request).await?.into_inner().status;
        status.ok_or_else(|| Status::data_loss("the answer has no status"))
    }

    /// ListPodSandbox without a filter.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn pods(&self) -> Result<Vec<v1::PodSandbox>, Status> {
        let request = v1::ListPodSandboxRequest::default();
        Ok(self.runtime().list_pod_sandbox(request).await?.into_inner().items)
    }

    /// CreateContainer, after making the log's directory as kubelet does; gives the id.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn create(
        &self,
        pod: &str,
        pod_config: &PodSandboxConfig,
        config: &ContainerConfig,
    ) -> Result<String, Status> {
        if let Some(directory) = Path::new(&pod_config.log_directory).join(&config.log_path).parent() {
            std::fs::create_dir_all(directory)?;
        }
        let request = v1::CreateContainerRequest {
            pod_sandbox_id: pod.to_owned(),
            config: Some(config.clone()),
            sandbox_config: Some(pod_config.clone()),
        };
        Ok(self.runtime().create_container(request).await?.into_inner().container_id)
    }

    /// StartContainer.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn start(&self, id: &str) -> Result<(), Status> {
        let container_id = id.to_owned();
        self.runtime().start_container(v1::StartContainerRequest { container_id }).await.map(drop)
    }

    /// CreateContainer and StartContainer; gives the id.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn run(
        &self,
        pod: &str,
        pod_config: &PodSandboxConfig,
        config: &ContainerConfig,
    ) -> Result<String, Status> {
        let id = self.create(pod, pod_config, config).await?;
        self.start(&id).await?;
        Ok(id)
    }

    /// StopContainer with a grace period.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<(), Status> {
        let request = v1::StopContainerRequest {
            container_id: id.to_owned(),
            timeout: i64::try_from(grace.as_secs()).unwrap_or(i64::MAX),
        };
        self.runtime().stop_container(request).await.map(drop)
    }

    /// RemoveContainer.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn remove(&self, id: &str) -> Result<(), Status> {
        let container_id = id.to_owned();
        self.runtime().remove_container(v1::RemoveContainerRequest { container_id }).await.map(drop)
    }

    /// ContainerStatus.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn status(&self, id: &str) -> Result<ContainerStatus, Status> {
        let request = v1::ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
        let status = self.runtime().container_status(request).await?.into_inner().status;
        status.ok_or_else(|| Status::data_loss("the answer has no status"))
    }

    /// ListContainers without a filter.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn containers(&self) -> Result<Vec<v1::Container>, Status> {
        let request = v1::ListContainersRequest::default();
        Ok(self.runtime().list_containers(request).await?.into_inner().containers)
    }

    /// ContainerStats.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn stats(&self, id: &str) -> Result<v1::ContainerStats, Status> {
        let container_id = id.to_owned();
        let answer = self.runtime().container_stats(v1::ContainerStatsRequest { container_id }).await?;
        answer.into_inner().stats.ok_or_else(|| Status::data_loss("the answer has no stats"))
    }

    /// PodSandboxStats.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn pod_stats(&self, id: &str) -> Result<v1::PodSandboxStats, Status> {
        let pod_sandbox_id = id.to_owned();
        let answer = self.runtime().pod_sandbox_stats(v1::PodSandboxStatsRequest { pod_sandbox_id }).await?;
        answer.into_inner().stats.ok_or_else(|| Status::data_loss("the answer has no stats"))
    }

    /// ExecSync; a zero `timeout` is none.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn exec(&self, id: &str, command: &[&str], timeout: Duration) -> Result<Executed, Status> {
        let request = v1::ExecSyncRequest {
            container_id: id.to_owned(),
            cmd: request::words(command),
            timeout: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        };
        let answer = self.runtime().exec_sync(request).await?.into_inner();
        Ok(Executed {
            stdout: String::from_utf8_lossy(&answer.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&answer.stderr).into_owned(),
            code: answer.exit_code,
        })
    }

    /// Asks for the status until the container is in `state`.
    ///
    /// # Errors
    /// The daemon refuses, or it does not come to that within `timeout`.
    pub async fn wait(&self, id: &str, state: ContainerState, timeout: Duration) -> Result<ContainerStatus> {
        let what = format!("container {id} is {}", state.as_str_name());
        run::until(&what, timeout, async || {
            let status = self.status(id).await?;
            Ok((status.state() == state).then_some(status))
        })
        .await
    }

    /// Stops and removes every pod.
    ///
    /// # Errors
    /// Names every pod that stays.
    pub async fn remove_everything(&self) -> Result<()> {
        let mut failures = Vec::new();
        for pod in self.pods().await? {
            let stopped = self.stop_pod(&pod.id).await;
            if let Err(status) = stopped.and(self.remove_pod(&pod.id).await) {
                failures.push(format!("{}: {status}", pod.id));
            }
        }
        if failures.is_empty() { Ok(()) } else { bail!("pods stay: {}", failures.join("; ")) }
    }
}
