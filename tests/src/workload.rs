//! Pods and containers of a test, and what became of them.

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{
    ContainerConfig, ContainerState, ContainerStatus, ContainerStatusRequest, LinuxContainerResources,
    LinuxContainerSecurityContext, LinuxSandboxSecurityContext, NamespaceOption, PodSandboxConfig,
};
use crio_testkit::request;

use crate::{PATIENCE, Stage, log};

/// A pod that runs.
#[derive(Debug, Clone)]
pub struct Pod {
    /// Its id.
    pub id: String,
    /// Its request.
    pub config: PodSandboxConfig,
}

/// A container that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its id.
    pub id: String,
    /// Its status.
    pub status: ContainerStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Stage {
    /// Runs an ordinary pod.
    ///
    /// # Errors
    /// As the daemon says; so for every call here.
    pub async fn pod(&self, name: &str) -> Result<Pod> {
        self.pod_of(self.node.pod(name)).await
    }

    /// Runs a pod of a request.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn pod_of(&self, config: PodSandboxConfig) -> Result<Pod> {
        let id = self.cri.run_pod(&config).await?;
        Ok(Pod { id, config })
    }

    /// The request for a busybox container that runs a script.
    #[must_use]
    pub fn shell(&self, name: &str, script: &str) -> ContainerConfig {
        request::shell(name, &self.busybox, script)
    }

    /// Creates and starts a container.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn start(&self, pod: &Pod, config: &ContainerConfig) -> Result<String> {
        Ok(self.cri.run(&pod.id, &pod.config, config).await?)
    }

    /// Runs a container to its end.
    ///
    /// # Errors
    /// As the daemon says, or it does not end.
    pub async fn finish(&self, pod: &Pod, config: &ContainerConfig) -> Result<Ended> {
        let id = self.start(pod, config).await?;
        let status = self.cri.wait(&id, ContainerState::ContainerExited, PATIENCE).await?;
        let lines = log::read(status.log_path.as_ref())?;
        let text = |stream| String::from_utf8_lossy(&log::content(&lines, stream)).into_owned();
        Ok(Ended { id, status, stdout: text("stdout"), stderr: text("stderr") })
    }

    /// Runs a script to its end in a container of its own and gives what it wrote.
    ///
    /// # Errors
    /// As the daemon says, or it does not end.
    pub async fn output(&self, pod: &Pod, name: &str, script: &str) -> Result<String> {
        Ok(self.finish(pod, &self.shell(name, script)).await?.stdout)
    }

    /// What a command writes in a running container.
    ///
    /// # Errors
    /// As the daemon says, or the command fails.
    pub async fn exec(&self, container: &str, script: &str) -> Result<String> {
        let executed = self.cri.exec(container, &["/bin/sh", "-c", script], PATIENCE).await?;
        anyhow::ensure!(executed.code == 0, "{script:?}: {executed:?}");
        Ok(executed.stdout)
    }

    /// The verbose part of a container's status.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn info(&self, container: &str) -> Result<serde_json::Value> {
        let request = ContainerStatusRequest { container_id: container.to_owned(), verbose: true };
        let answer = self.cri.runtime().container_status(request).await?.into_inner();
        let info = answer.info.get("info").context("a verbose status has info")?;
        serde_json::from_str(info).context("info is JSON")
    }

    /// The host's id of a container's first process.
    ///
    /// # Errors
    /// As the daemon says.
    pub async fn process(&self, container: &str) -> Result<i32> {
        let info = self.info(container).await?;
        let process = info["pid"].as_i64().context("info has a pid")?;
        Ok(i32::try_from(process)?)
    }
}

/// A request's security context.
pub fn security(config: &mut ContainerConfig) -> &mut LinuxContainerSecurityContext {
    let linux = config.linux.get_or_insert_default();
    linux.security_context.get_or_insert_default()
}

/// A request's limits.
pub fn limits(config: &mut ContainerConfig) -> &mut LinuxContainerResources {
    config.linux.get_or_insert_default().resources.get_or_insert_default()
}

/// A request's namespaces.
pub fn namespaces(config: &mut ContainerConfig) -> &mut NamespaceOption {
    security(config).namespace_options.get_or_insert_default()
}

/// A pod request's security context.
pub fn pod_security(config: &mut PodSandboxConfig) -> &mut LinuxSandboxSecurityContext {
    let linux = config.linux.get_or_insert_default();
    linux.security_context.get_or_insert_default()
}

/// A pod request's namespaces.
pub fn pod_namespaces(config: &mut PodSandboxConfig) -> &mut NamespaceOption {
    pod_security(config).namespace_options.get_or_insert_default()
}
