//! What every operation needs: the engines, the index, the events and the running operations.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use crio_cgroups::Cgroups;
use crio_images::Images;
use crio_network::Networks;
use crio_runtime::{Handler, Runtimes};
use crio_security::Security;
use crio_spec::HostFacts;
use crio_stats::Collector;
use crio_storage::Store;
use crio_types::{ContainerId, ContainerStatus, EventKind, Resources, SandboxId};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::container::Container;
use crate::container::checkpoint::CheckpointRequest;
use crate::container::create::CreateRequest;
use crate::events::{ContainerEvent, Events, PodState};
use crate::index::Index;
use crate::operation::Operations;
use crate::record::SandboxRecord;
use crate::sandbox::Sandbox;
use crate::sandbox::run::RunRequest;
use crate::{Config, PodError};

/// The engines pods are made with.
#[derive(Debug, Clone)]
pub struct Engines {
    /// Layers and root file systems.
    pub store: Store,
    /// Images.
    pub images: Images,
    /// Pod networks.
    pub networks: Arc<Networks>,
    /// Runtime handlers and monitors.
    pub runtimes: Arc<Runtimes>,
    /// Control groups.
    pub cgroups: Arc<Cgroups>,
    /// Use of resources.
    pub stats: Arc<Collector>,
}

/// What a reload of the configuration replaces as a whole.
#[derive(Debug, Clone)]
pub struct Live {
    /// Confinement.
    pub security: Security,
    /// Directories with specifications of devices (`cdi_spec_dirs`).
    pub cdi_spec_dirs: Vec<PathBuf>,
}

/// Shared by all operations.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) engines: Engines,
    /// What counts for the containers that are made from now on.
    pub(crate) live: ArcSwap<Live>,
    /// What the host can do, apart from what depends on the runtime handler.
    pub(crate) host: HostFacts,
    /// Whether pods can have user namespaces here, and why not.
    pub(crate) user_namespaces: Result<(), String>,
    pub(crate) index: Index,
    pub(crate) events: Arc<Events>,
    /// The operations.
    pub(crate) tasks: TaskTracker,
    /// The tasks that watch, which operations depend on: they end last.
    pub(crate) watchers: TaskTracker,
    pub(crate) shutdown: CancellationToken,
    pub(crate) operations: Running,
}

/// The running operations, by kind.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) runs: Operations<RunRequest, SandboxId>,
    pub(crate) sandbox_stops: Operations<(), ()>,
    pub(crate) sandbox_removals: Operations<(), ()>,
    pub(crate) creations: Operations<CreateRequest, ContainerId>,
    pub(crate) starts: Operations<(), ()>,
    pub(crate) checkpoints: Operations<CheckpointRequest, ()>,
    pub(crate) stops: Operations<(), ()>,
    pub(crate) removals: Operations<(), ()>,
    pub(crate) updates: Operations<Resources, ()>,
}

impl Running {
    pub(crate) fn new(tasks: &TaskTracker) -> Self {
        Self {
            runs: Operations::new("RunPodSandbox", tasks.clone()),
            sandbox_stops: Operations::new("StopPodSandbox", tasks.clone()),
            sandbox_removals: Operations::new("RemovePodSandbox", tasks.clone()),
            creations: Operations::new("CreateContainer", tasks.clone()),
            starts: Operations::new("StartContainer", tasks.clone()),
            checkpoints: Operations::new("CheckpointContainer", tasks.clone()),
            stops: Operations::new("StopContainer", tasks.clone()),
            removals: Operations::new("RemoveContainer", tasks.clone()),
            updates: Operations::new("UpdateContainerResources", tasks.clone()),
        }
    }
}

impl Context {
    /// Runs blocking work on the blocking pool and waits for it.
    pub(crate) async fn blocking<T, F>(&self, operation: &'static str, work: F) -> Result<T, PodError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, PodError> + Send + 'static,
    {
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(PodError::Interrupted { operation }))
    }

    /// The handler a recorded pod was made with. What is left of a pod whose handler is not configured any more is
    /// cleaned up with the default one; nothing is made with it.
    pub(crate) fn handler_of(&self, record: &SandboxRecord) -> Result<Arc<Handler>, PodError> {
        let runtimes = &self.engines.runtimes;
        let resolved = runtimes.resolve(&record.runtime_handler).or_else(|_| runtimes.resolve(""));
        resolved.map_err(PodError::step("choosing the runtime handler", &record.id))
    }

    /// Why pods of this handler cannot have user namespaces; `None` when they can.
    pub(crate) fn without_user_namespaces(&self, handler: &Handler) -> Option<String> {
        match &self.user_namespaces {
            Err(reason) => Some(reason.clone()),
            Ok(()) if !handler.features.user_namespaces => Some("the runtime does not support them".to_owned()),
            Ok(()) => None,
        }
    }

    /// Publishes what happened to a container. Pause containers are no one's business but ours.
    pub(crate) fn container_event(&self, container: &Container, kind: EventKind) {
        if !container.is_infra() {
            self.event(container.id().as_str(), container.sandbox(), kind);
        }
    }

    /// Publishes what happened to a sandbox.
    pub(crate) fn sandbox_event(&self, sandbox: &Sandbox, kind: EventKind) {
        self.event(sandbox.id().as_str(), sandbox, kind);
    }

    fn event(&self, id: &str, sandbox: &Sandbox, kind: EventKind) {
        self.events.publish(|created_at| ContainerEvent {
            container_id: id.to_owned(),
            kind,
            created_at,
            sandbox: sandbox.status(),
            containers: self.containers_of_pod(sandbox),
        });
    }

    /// The containers of a sandbox and of the pod's earlier ones: to kubelet they are one pod.
    fn containers_of_pod(&self, sandbox: &Sandbox) -> Vec<Arc<ContainerStatus>> {
        let uid = &sandbox.status().metadata.uid;
        let others = self.index.sandboxes();
        let others = others.iter().filter(|other| other.id() != sandbox.id() && other.status().metadata.uid == *uid);
        let earlier = others.flat_map(|other| other.containers());
        sandbox.containers().into_iter().chain(earlier).map(|container| container.status()).collect()
    }

    /// Everything there is, as readers see it.
    pub(crate) fn look(&self) -> Vec<PodState> {
        let state = |sandbox: &Arc<Sandbox>| PodState {
            sandbox: sandbox.status(),
            containers: sandbox.containers().iter().map(|container| container.status()).collect(),
        };
        self.index.sandboxes().iter().map(state).collect()
    }
}

/// A fresh random id.
pub(crate) fn random_id() -> Result<[u8; 32], PodError> {
    crio_sys::random::bytes32().map_err(PodError::file("reading", std::path::Path::new("the kernel's random source")))
}
