//! Sessions of clients: commands, attachments, and ways to what listens in a pod.

use crio_types::ContainerId;

use super::Pods;
use crate::Outcome;
use crate::container::session;
use crate::sandbox::forward::PortForward;
use crate::session::{AttachRequest, ExecRequest, Session};

impl Pods {
    /// Whether a session with the container could begin now: it exists and runs. Gives its whole id.
    ///
    /// # Errors
    /// It is unknown or does not run.
    pub fn check_session(&self, id: &str) -> Outcome<ContainerId> {
        let container = self.0.index.container(id)?;
        session::check_running(&container)?;
        Ok(container.id().clone())
    }

    /// Runs a command whose streams are the caller's. Dropping the session ends it.
    ///
    /// # Errors
    /// The container is unknown or does not run, or the command cannot be run.
    pub async fn exec(&self, request: ExecRequest) -> Outcome<Session> {
        let container = self.0.index.container(&request.container_id)?;
        session::exec(&container, request).await
    }

    /// Connects the caller to a running container's own streams, from now on. Dropping the session detaches.
    ///
    /// # Errors
    /// The container is unknown or does not run.
    pub async fn attach(&self, request: &AttachRequest) -> Outcome<Session> {
        let container = self.0.index.container(&request.container_id)?;
        session::attach(&container, request).await
    }

    /// A way to what listens inside a pod, whether the pod is ready or not: see [`PortForward::check`].
    ///
    /// # Errors
    /// The pod is unknown.
    pub fn port_forward(&self, id: &str) -> Outcome<PortForward> {
        Ok(PortForward::of(self.0.index.sandbox(id)?))
    }
}
