//! PortForward: connections from a client to what listens inside a pod.

use std::path::PathBuf;
use std::sync::Arc;

use crio_types::{SandboxId, SandboxState};
use tokio::net::TcpStream;

use crate::sandbox::Sandbox;
use crate::{Outcome, PodError};

/// A way into a pod's network, for as long as the pod is ready.
#[derive(Debug, Clone)]
pub struct PortForward {
    sandbox: Arc<Sandbox>,
    uid: String,
    netns: Option<PathBuf>,
}

impl PortForward {
    /// A way into a pod.
    pub(crate) fn of(sandbox: Arc<Sandbox>) -> Self {
        let record = sandbox.record();
        Self { uid: record.config.metadata.uid, netns: record.namespaces.net, sandbox }
    }

    /// Whether the pod is ready.
    ///
    /// # Errors
    /// It is not, or not any more.
    pub fn check(&self) -> Outcome<()> {
        if self.sandbox.status().state == SandboxState::Ready {
            Ok(())
        } else {
            Err(Arc::new(PodError::SandboxNotReady { id: self.sandbox.id().to_string() }))
        }
    }

    /// The pod.
    #[must_use]
    pub fn sandbox_id(&self) -> &SandboxId {
        self.sandbox.id()
    }

    /// The pod's uid in Kubernetes.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Connects to a port of the pod's loopback address, which is the host's for a pod on the host's network.
    ///
    /// # Errors
    /// The pod is not ready any more, or nobody listens there.
    pub async fn connect(&self, port: u16) -> Outcome<TcpStream> {
        self.check()?;
        let connected = crio_network::connect_local(self.netns.as_deref(), port).await;
        Ok(connected.map_err(PodError::step("forwarding a port", format!("pod sandbox {}", self.sandbox.id())))?)
    }
}
