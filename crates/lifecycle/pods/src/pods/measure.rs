//! What pods and containers use and what happens to them: statistics, metrics, events.

use std::sync::Arc;

use crio_stats::{MeasuredPod, MetricDescriptor, PodMetrics};
use crio_types::{ContainerState, ContainerStats, ContainerStatus, SandboxStats};

use super::Pods;
use crate::container::Container;
use crate::sandbox::Sandbox;
use crate::{ContainerFilter, EventStream, Outcome, PodError, SandboxFilter};

impl Pods {
    /// What a container uses.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn container_stats(&self, id: &str) -> Outcome<ContainerStats> {
        let container = self.0.index.container(id)?;
        let stats = self.0.engines.stats.container(container.id()).await;
        stats.ok_or_else(|| Arc::new(PodError::ContainerNotFound { id: id.to_owned() }))
    }

    /// What the containers use that a filter selects and that have not ended.
    pub async fn list_container_stats(&self, filter: &ContainerFilter) -> Vec<ContainerStats> {
        let live = |status: &&Arc<ContainerStatus>| status.state != ContainerState::Exited;
        let ids: Vec<_> = self.list_containers(filter).iter().filter(live).map(|status| status.id.clone()).collect();
        self.0.engines.stats.containers(&ids).await
    }

    /// What a pod uses.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn pod_sandbox_stats(&self, id: &str) -> Outcome<SandboxStats> {
        let sandbox = self.0.index.sandbox(id)?;
        let stats = self.0.engines.stats.sandbox(sandbox.id()).await;
        stats.ok_or_else(|| Arc::new(PodError::SandboxNotFound { id: id.to_owned() }))
    }

    /// What the pods use that a filter selects.
    pub async fn list_pod_sandbox_stats(&self, filter: &SandboxFilter) -> Vec<SandboxStats> {
        let ids: Vec<_> = self.list_pod_sandboxes(filter).iter().map(|status| status.id.clone()).collect();
        self.0.engines.stats.sandboxes(&ids).await
    }

    /// What metrics there can be.
    #[must_use]
    pub fn metric_descriptors(&self) -> Vec<&'static MetricDescriptor> {
        self.0.engines.stats.metric_descriptors()
    }

    /// The metrics of all pods, and of their containers that have not ended.
    pub async fn pod_metrics(&self) -> Vec<PodMetrics> {
        let live = |container: &Arc<Container>| {
            Some(container.status()).filter(|status| status.state != ContainerState::Exited)
        };
        let measured = |sandbox: &Arc<Sandbox>| MeasuredPod {
            sandbox: sandbox.status(),
            containers: sandbox.containers().iter().filter_map(live).collect(),
        };
        let pods = self.0.index.sandboxes().iter().map(measured).collect();
        self.0.engines.stats.metrics(pods).await
    }

    /// What happens from now on.
    ///
    /// # Errors
    /// Too many watch already.
    pub fn subscribe(&self) -> Outcome<EventStream> {
        let context = Arc::clone(&self.0);
        Ok(self.0.events.subscribe(Arc::new(move || context.look()))?)
    }
}
