//! The door to this crate: every operation CRI knows on pods and containers, by the id the caller wrote.
//!
//! Here ids become objects and unknown ids become what CRI wants of them; what is done then is in `sandbox` and
//! `container`. Readers answer from published snapshots.

mod measure;
mod sessions;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use crio_spec::HostFacts;
use crio_types::{
    ContainerConfig, ContainerId, ContainerStatus, Resources, SandboxConfig, SandboxId, SandboxStatus, sandbox_name,
};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::container::checkpoint::{self, CheckpointRequest};
use crate::container::exec::{self, ExecOutcome};
use crate::container::{create, remove, start, stop, update};
use crate::context::{Context, Running};
use crate::events::Events;
use crate::index::Index;
use crate::info::{self, Inspection};
use crate::labels;
use crate::sandbox::run::{self, RunRequest};
use crate::sandbox::{remove as sandbox_remove, stop as sandbox_stop};
use crate::{Config, ContainerFilter, Engines, Live, Outcome, PodError, SandboxFilter, recover, users};

/// How long a stopping daemon waits for running operations.
const DRAIN: Duration = Duration::from_secs(20);

/// A runtime handler, as `Status` reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerInfo {
    /// Its name in the configuration.
    pub name: String,
    /// Mounts can be read-only all the way down.
    pub recursive_read_only_mounts: bool,
    /// Pods can have user namespaces.
    pub user_namespaces: bool,
}

/// All pods of this node. Clones share everything.
#[derive(Debug, Clone)]
pub struct Pods(Arc<Context>);

impl Pods {
    /// Pods made with these engines. Nothing is known yet: see [`Pods::recover`].
    #[must_use]
    pub fn new(config: Config, engines: Engines, mut host: HostFacts, live: Live) -> Self {
        let user_namespaces = users::check_host(&config, &engines.store);
        if let Err(reason) = &user_namespaces {
            tracing::info!(reason, "pods cannot have user namespaces on this node");
        }
        host.idmapped_mounts = user_namespaces.is_ok();
        let tasks = TaskTracker::new();
        let operations = Running::new(&tasks);
        Self(Arc::new(Context {
            config,
            engines,
            live: ArcSwap::from_pointee(live),
            host,
            user_namespaces,
            index: Index::default(),
            events: Arc::new(Events::new()),
            tasks,
            watchers: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            operations,
        }))
    }

    /// Puts a reloaded configuration in force for the containers that are made from now on.
    pub fn reload(&self, live: Live) {
        self.0.live.store(Arc::new(live));
    }

    /// Takes over what the last daemon left. Call once, before serving. What failed comes back, for the log.
    pub async fn recover(&self) -> Vec<PodError> {
        recover::recover(&self.0).await
    }

    /// Waits for the running operations, then ends the tasks that watch. Pods and containers live on.
    pub async fn shut_down(&self) {
        self.0.tasks.close();
        // What does not finish in time is recovered at the next start.
        let _unfinished = timeout(DRAIN, self.0.tasks.wait()).await;
        self.0.shutdown.cancel();
        self.0.watchers.close();
        // They end at their next await, which comes within a few writes to memory.
        self.0.watchers.wait().await;
    }

    /// Ends all subscriptions. A daemon that stops calls it first: a client that watches would otherwise keep its
    /// connection open.
    pub fn end_subscriptions(&self) {
        self.0.events.end();
    }

    /// Makes a pod. A retry of the same request joins the first or finds its result.
    ///
    /// # Errors
    /// The request cannot be, its name is taken, or a step failed; nothing is left then.
    pub async fn run_pod_sandbox(&self, config: SandboxConfig, runtime_handler: &str) -> Outcome<SandboxId> {
        let config = users::with_default(labels::with_pod_labels(config), self.0.config.default_user.as_ref());
        let name = sandbox_name(&config.metadata);
        let request = RunRequest { config, runtime_handler: runtime_handler.to_owned() };
        let (context, planned) = (Arc::clone(&self.0), request.clone());
        self.0.operations.runs.join(&name, request, move || run::run(context, planned)).await
    }

    /// Stops a pod. `deadline` is what remains of the caller's own, if it set one. An unknown pod is a success.
    ///
    /// # Errors
    /// Something the pod holds could not be given back; calling again tries again.
    pub async fn stop_pod_sandbox(&self, id: &str, deadline: Option<Duration>) -> Outcome<()> {
        let Some(sandbox) = self.0.index.find_sandbox(id)? else {
            return Ok(());
        };
        let grace = sandbox_stop::grace(deadline);
        sandbox_stop::stop_sandbox(&self.0, &sandbox, grace).await
    }

    /// Removes a pod with everything in it. An unknown pod is a success.
    ///
    /// # Errors
    /// As [`Pods::stop_pod_sandbox`]; the pod stays listed then.
    pub async fn remove_pod_sandbox(&self, id: &str) -> Outcome<()> {
        let Some(sandbox) = self.0.index.find_sandbox(id)? else {
            return Ok(());
        };
        sandbox_remove::remove_sandbox(&self.0, &sandbox).await
    }

    /// What a pod is.
    ///
    /// # Errors
    /// There is none with this id.
    pub fn pod_sandbox_status(&self, id: &str) -> Outcome<Arc<SandboxStatus>> {
        Ok(self.0.index.sandbox(id)?.status())
    }

    /// The containers of a pod.
    ///
    /// # Errors
    /// There is no pod with this id.
    pub fn pod_sandbox_containers(&self, id: &str) -> Outcome<Vec<Arc<ContainerStatus>>> {
        Ok(self.0.index.sandbox(id)?.containers().iter().map(|container| container.status()).collect())
    }

    /// The pods a filter selects.
    #[must_use]
    pub fn list_pod_sandboxes(&self, filter: &SandboxFilter) -> Vec<Arc<SandboxStatus>> {
        let all = self.0.index.sandboxes();
        all.iter().map(|sandbox| sandbox.status()).filter(|status| filter.matches(status)).collect()
    }

    /// Creates a container. A retry of the same request joins the first or finds its result.
    ///
    /// # Errors
    /// The pod is unknown or not ready, the request cannot be, or a step failed; nothing is left then.
    pub async fn create_container(&self, sandbox_id: &str, config: ContainerConfig) -> Outcome<ContainerId> {
        let sandbox = self.0.index.sandbox(sandbox_id)?;
        let config = labels::with_container_labels(config, &sandbox.status().metadata);
        create::create_container(&self.0, &sandbox, config).await
    }

    /// Starts a created container.
    ///
    /// # Errors
    /// It is unknown, in another state, or its program cannot be run.
    pub async fn start_container(&self, id: &str) -> Outcome<()> {
        start::start_container(&self.0, &self.0.index.container(id)?).await
    }

    /// Stops a container: its stop signal, and SIGKILL after `grace`. An unknown container is a success.
    ///
    /// # Errors
    /// It could not be signalled, or did not end.
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Outcome<()> {
        let Some(container) = self.0.index.find_container(id)? else {
            return Ok(());
        };
        stop::stop_container(&self.0, &container, Instant::now() + grace).await
    }

    /// Removes a container, killing it first when it runs. An unknown container is a success.
    ///
    /// # Errors
    /// Something it holds could not be given back; it stays listed then.
    pub async fn remove_container(&self, id: &str) -> Outcome<()> {
        let Some(container) = self.0.index.find_container(id)? else {
            return Ok(());
        };
        remove::remove_container(&self.0, &container).await
    }

    /// What a container is.
    ///
    /// # Errors
    /// There is none with this id.
    pub fn container_status(&self, id: &str) -> Outcome<Arc<ContainerStatus>> {
        Ok(self.0.index.container(id)?.status())
    }

    /// The containers a filter selects.
    #[must_use]
    pub fn list_containers(&self, filter: &ContainerFilter) -> Vec<Arc<ContainerStatus>> {
        let all = self.0.index.containers();
        all.iter().map(|container| container.status()).filter(|status| filter.matches(status)).collect()
    }

    /// Runs a command in a running container; `None` waits for it without a limit.
    ///
    /// # Errors
    /// The container does not run, the command cannot be run, or the time is up; then nothing of it is left.
    pub async fn exec_sync(&self, id: &str, command: Vec<String>, limit: Option<Duration>) -> Outcome<ExecOutcome> {
        let container = self.0.index.container(id)?;
        exec::exec_sync(&container, command, limit).await
    }

    /// Changes a container's limits, all or none.
    ///
    /// # Errors
    /// It has ended, a limit cannot be, or the runtime refused.
    pub async fn update_container_resources(&self, id: &str, resources: Resources) -> Outcome<()> {
        let container = self.0.index.container(id)?;
        update::update_resources(&self.0, &container, resources).await
    }

    /// Takes note of what a pod may use as a whole, which kubelet has written to the pod's cgroup itself. What is `None` stays
    /// as it was.
    ///
    /// # Errors
    /// There is none with this id, or it could not be written down.
    pub fn update_pod_sandbox_resources(
        &self,
        id: &str,
        overhead: Option<Resources>,
        resources: Option<Resources>,
    ) -> Outcome<()> {
        let sandbox = self.0.index.sandbox(id)?;
        sandbox.change(|record| {
            record.overhead = overhead.or(record.overhead.take());
            record.resources = resources.or(record.resources.take());
        })?;
        Ok(())
    }

    /// Opens a container's log anew.
    ///
    /// # Errors
    /// It does not run, or the file cannot be made.
    pub async fn reopen_container_log(&self, id: &str) -> Outcome<()> {
        let container = self.0.index.container(id)?;
        update::reopen_log(&container).await
    }

    /// Writes a checkpoint of a running container as an archive at `location`; the container goes on. Without a limit, or
    /// with one out of reason, it gets a usual one.
    ///
    /// # Errors
    /// The configuration, the runtime or the host does not allow it, the container does not run, or a step failed; nothing
    /// is at `location` then that was not there before.
    pub async fn checkpoint_container(&self, id: &str, location: PathBuf, limit: Option<Duration>) -> Outcome<()> {
        checkpoint::check_enabled(&self.0)?;
        let container = self.0.index.container(id)?;
        checkpoint::checkpoint_container(&self.0, &container, CheckpointRequest { location, limit }).await
    }

    /// The configured handlers, by name.
    #[must_use]
    pub fn runtime_handlers(&self) -> Vec<HandlerInfo> {
        let handlers = self.0.engines.runtimes.handlers();
        let info = |handler: &Arc<crio_runtime::Handler>| HandlerInfo {
            name: handler.name.clone(),
            recursive_read_only_mounts: handler.features.recursive_read_only,
            user_namespaces: self.0.without_user_namespaces(handler).is_none(),
        };
        handlers.map(info).collect()
    }

    /// The handler of pods that name none.
    #[must_use]
    pub fn default_handler(&self) -> String {
        self.0.engines.runtimes.default_handler().to_owned()
    }

    /// Whether pods can be attached to the network.
    ///
    /// # Errors
    /// Why they cannot.
    pub fn network_readiness(&self) -> Result<(), String> {
        self.0.engines.networks.readiness().map_err(|not_ready| not_ready.message)
    }

    /// Whether systemd manages the cgroups.
    #[must_use]
    pub fn uses_systemd_cgroups(&self) -> bool {
        self.0.engines.cgroups.driver() == crio_cgroups::Driver::Systemd
    }

    /// What a verbose container status adds.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn container_info(&self, id: &str) -> Outcome<serde_json::Value> {
        let container = self.0.index.container(id)?;
        let read = move || Ok(info::container_info(&container));
        Ok(self.0.blocking("ContainerStatus", read).await?)
    }

    /// What a verbose pod status adds.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn pod_sandbox_info(&self, id: &str) -> Outcome<serde_json::Value> {
        let sandbox = self.0.index.sandbox(id)?;
        let read = move || Ok(info::sandbox_info(&sandbox));
        Ok(self.0.blocking("PodSandboxStatus", read).await?)
    }

    /// For the inspection interface: the container, or the pod, with this id.
    #[must_use]
    pub fn inspect(&self, id: &str) -> Option<Inspection> {
        let container = self.0.index.find_container(id).ok().flatten();
        let sandbox = || self.0.index.find_sandbox(id).ok().flatten();
        container.map(|c| info::inspect_container(&c)).or_else(|| sandbox().map(|s| info::inspect_sandbox(&s)))
    }
}
