//! A CRI client: one method for each call that is measured, each with a deadline.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use crio_cri_api::v1::image_service_client::ImageServiceClient;
use crio_cri_api::v1::runtime_service_client::RuntimeServiceClient;
use crio_cri_api::{connect, image_client, runtime_client, v1};
use tonic::Request;
use tonic::transport::Channel;

/// What kubelet allows a call, doubled as for RunPodSandbox.
const CALL_DEADLINE: Duration = Duration::from_secs(240);
/// kubelet sets none for pulls; a benchmark's image is small.
const PULL_DEADLINE: Duration = Duration::from_secs(900);

/// Whether the run is to end. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Lets no further call begin.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { bail!("interrupted") } else { Ok(()) }
    }
}

/// A connection to a runtime. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Cri {
    pub(crate) runtime: RuntimeServiceClient<Channel>,
    pub(crate) images: ImageServiceClient<Channel>,
    interrupt: Interrupt,
}

/// A request with the usual deadline.
pub(crate) fn request<T>(message: T) -> Request<T> {
    with_deadline(message, CALL_DEADLINE)
}

fn with_deadline<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

impl Cri {
    pub(crate) async fn connect(socket: &Path, interrupt: Interrupt) -> Result<Self> {
        let channel = connect(socket).await?;
        Ok(Self { runtime: runtime_client(channel.clone()), images: image_client(channel), interrupt })
    }

    /// Pulls the image unless it is there.
    pub(crate) async fn ensure_image(&self, image: &str) -> Result<()> {
        let spec = v1::ImageSpec { image: image.to_owned(), ..Default::default() };
        let mut images = self.images.clone();
        let status = v1::ImageStatusRequest { image: Some(spec.clone()), verbose: false };
        let status = images.image_status(request(status)).await.with_context(|| format!("looking for {image}"))?;
        if status.into_inner().image.is_some() {
            return Ok(());
        }
        let pull = v1::PullImageRequest { image: Some(spec), ..Default::default() };
        let pulled = images.pull_image(with_deadline(pull, PULL_DEADLINE)).await;
        pulled.with_context(|| format!("pulling {image}"))?;
        Ok(())
    }

    pub(crate) async fn run_pod_sandbox(&self, config: v1::PodSandboxConfig, handler: &str) -> Result<String> {
        self.interrupt.check()?;
        let message = v1::RunPodSandboxRequest { config: Some(config), runtime_handler: handler.to_owned() };
        let mut runtime = self.runtime.clone();
        let answer = Box::pin(runtime.run_pod_sandbox(request(message))).await.context("RunPodSandbox")?;
        Ok(answer.into_inner().pod_sandbox_id)
    }

    pub(crate) async fn create_container(
        &self,
        sandbox_id: &str,
        config: v1::ContainerConfig,
        sandbox: v1::PodSandboxConfig,
    ) -> Result<String> {
        self.interrupt.check()?;
        let message = v1::CreateContainerRequest {
            pod_sandbox_id: sandbox_id.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox),
        };
        let mut runtime = self.runtime.clone();
        let answer = Box::pin(runtime.create_container(request(message))).await.context("CreateContainer")?;
        Ok(answer.into_inner().container_id)
    }

    pub(crate) async fn start_container(&self, id: &str) -> Result<()> {
        self.interrupt.check()?;
        let container_id = id.to_owned();
        let message = v1::StartContainerRequest { container_id };
        self.runtime.clone().start_container(request(message)).await.context("StartContainer")?;
        Ok(())
    }

    pub(crate) async fn container_state(&self, id: &str) -> Result<v1::ContainerStatus> {
        self.interrupt.check()?;
        let message = v1::ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
        let answer = self.runtime.clone().container_status(request(message)).await.context("ContainerStatus")?;
        answer.into_inner().status.context("ContainerStatus answered without a status")
    }

    /// Runs a command, which must succeed.
    pub(crate) async fn exec(&self, id: &str, command: &[&str]) -> Result<()> {
        self.interrupt.check()?;
        let message = v1::ExecSyncRequest {
            container_id: id.to_owned(),
            cmd: command.iter().map(|word| (*word).to_owned()).collect(),
            timeout: CALL_DEADLINE.as_secs().cast_signed(),
        };
        let answer = self.runtime.clone().exec_sync(request(message)).await.context("ExecSync")?.into_inner();
        if answer.exit_code != 0 {
            bail!("{command:?} exited with {}: {}", answer.exit_code, String::from_utf8_lossy(&answer.stderr));
        }
        Ok(())
    }

    pub(crate) async fn stop_container(&self, id: &str, grace_seconds: i64) -> Result<()> {
        self.interrupt.check()?;
        let message = v1::StopContainerRequest { container_id: id.to_owned(), timeout: grace_seconds };
        self.runtime.clone().stop_container(request(message)).await.context("StopContainer")?;
        Ok(())
    }

    pub(crate) async fn remove_container(&self, id: &str) -> Result<()> {
        self.interrupt.check()?;
        let container_id = id.to_owned();
        let message = v1::RemoveContainerRequest { container_id };
        self.runtime.clone().remove_container(request(message)).await.context("RemoveContainer")?;
        Ok(())
    }

    pub(crate) async fn stop_pod_sandbox(&self, id: &str) -> Result<()> {
        self.interrupt.check()?;
        let pod_sandbox_id = id.to_owned();
        let message = v1::StopPodSandboxRequest { pod_sandbox_id };
        self.runtime.clone().stop_pod_sandbox(request(message)).await.context("StopPodSandbox")?;
        Ok(())
    }

    pub(crate) async fn remove_pod_sandbox(&self, id: &str) -> Result<()> {
        self.interrupt.check()?;
        let pod_sandbox_id = id.to_owned();
        let message = v1::RemovePodSandboxRequest { pod_sandbox_id };
        self.runtime.clone().remove_pod_sandbox(request(message)).await.context("RemovePodSandbox")?;
        Ok(())
    }
}
