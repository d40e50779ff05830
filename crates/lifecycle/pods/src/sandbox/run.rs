//! RunPodSandbox: from a request to a ready pod.
//!
//! ```text
//! check the request -> plan (id, paths, namespaces) -> record the plan
//!     -> side by side: namespaces then network | monitor | files and cgroup
//!     -> pause container, only for a shared PID namespace -> record what was learnt -> publish Ready
//! ```
//! Everything is named by the sandbox's id, so the record that is written first holds all there will be to unmake.
//! When a step fails the others are waited for, then the whole plan is unwound; unwinding what was never made is
//! no error.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crio_cgroups::MonitorCgroup;
use crio_network::namespaces::{self, PinRequest};
use crio_network::{Attachment, PodNetwork};
use crio_runtime::{Handler, Monitor, MonitorLaunch};
use crio_types::{
    ContainerState, EventKind, NamespaceMode, SandboxConfig, SandboxId, SandboxState, Timestamp, sandbox_name,
};
use tokio::time::Instant;
use tracing::warn;

use crate::context::{Context, random_id};
use crate::record::{Phase, PodDirectory, SandboxRecord};
use crate::sandbox::{Sandbox, files, infra, release};
use crate::{PodError, users, watch};

/// How long a pod waits for the node's network to become ready before its creation fails.
const NETWORK_READY_WAIT: Duration = Duration::from_secs(10);
/// The longest host name the kernel takes.
const MAX_HOSTNAME_BYTES: usize = 64;

/// What a RunPodSandbox asks for; a repeated call joins when it is equal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunRequest {
    pub(crate) config: SandboxConfig,
    pub(crate) runtime_handler: String,
}

/// Everything that is known of the pod before anything is made.
struct Plan {
    record: SandboxRecord,
    directory: PodDirectory,
    handler: Arc<Handler>,
    pin: PinRequest,
    monitor: MonitorLaunch,
}

/// Makes the pod, or finds that it is made already.
pub(crate) async fn run(context: Arc<Context>, request: RunRequest) -> Result<SandboxId, PodError> {
    if let Some(existing) = context.index.sandbox_named(&sandbox_name(&request.config.metadata)) {
        return same_pod(&existing, &request);
    }
    let plan = plan(&context, request)?;
    plan.directory.create()?;
    plan.directory.write_sandbox(&plan.record)?;
    match make(&context, &plan).await {
        Ok(sandbox) => {
            context.sandbox_event(&sandbox, EventKind::Created);
            context.sandbox_event(&sandbox, EventKind::Started);
            Ok(plan.record.id)
        }
        Err(error) => Err(unwind(&context, plan, error).await),
    }
}

/// A retry whose first call finished: the same request gets the pod it made.
fn same_pod(existing: &Sandbox, request: &RunRequest) -> Result<SandboxId, PodError> {
    let record = existing.record();
    let same = record.config == request.config && record.runtime_handler == request.runtime_handler;
    if same && record.state == SandboxState::Ready {
        return Ok(record.id);
    }
    Err(PodError::NameTaken { name: record.name, owner: format!("pod sandbox {}", record.id) })
}

fn plan(context: &Context, request: RunRequest) -> Result<Plan, PodError> {
    let RunRequest { config, runtime_handler } = request;
    check(&config)?;
    users::check_minimum(&config, context.config.minimum_ids)?;
    let id = SandboxId::from_bytes(random_id()?);
    let handler = context
        .engines
        .runtimes
        .resolve(&runtime_handler)
        .map_err(PodError::step("choosing the runtime handler", &id))?;
    if config.security.namespaces.user.is_some()
        && let Some(reason) = context.without_user_namespaces(&handler)
    {
        return Err(PodError::UserNamespaces { handler: handler.name.clone(), reason });
    }
    let cgroups = &context.engines.cgroups;
    let placing = "placing the cgroup";
    let cgroup = cgroups.sandbox_cgroup(&config.cgroup_parent, &id).map_err(PodError::step(placing, &id))?;
    let monitor_cgroup = monitor_place(&handler.config.monitor_cgroup)
        .map(|place| cgroups.monitor_cgroup(&config.cgroup_parent, &place, &id))
        .transpose()
        .map_err(PodError::step(placing, &id))?;
    let hostname = hostname(&config, &id);
    let pin = pin_request(context, &config, &id, &hostname)?;
    let namespaces = namespaces::plan(&pin);
    let network = namespaces.net.clone().map(|netns| pod_network(&config, &id, netns, cgroup.path.as_str()));
    let directory = PodDirectory::new(&context.config.state_dir, &id);
    let needs_infra = config.security.namespaces.pid == NamespaceMode::Pod || !context.config.drop_infra;
    let infra = needs_infra.then(|| infra::id(&id));
    let membership = monitor_cgroup.as_ref().map(|path| cgroups.membership_files(path)).unwrap_or_default();
    let monitor = context.engines.runtimes.monitor_launch(directory.path(), &handler, membership);
    let record = SandboxRecord {
        version: SandboxRecord::VERSION,
        phase: Phase::Making,
        name: sandbox_name(&config.metadata),
        runtime_handler,
        created_at: Timestamp::now(),
        state: SandboxState::NotReady,
        released: false,
        hostname,
        log_directory: log_directory(context, &config, &id),
        cgroup: cgroup.path.as_str().to_owned(),
        monitor_cgroup: monitor_cgroup.map(|path| path.as_str().to_owned()),
        namespaces,
        network,
        attachment: None,
        infra,
        overhead: config.overhead.clone(),
        resources: config.resources.clone(),
        config,
        id,
    };
    Ok(Plan { record, directory, handler, pin, monitor })
}

/// Makes all that the plan names; on an error some of it may be made.
async fn make(context: &Arc<Context>, plan: &Plan) -> Result<Arc<Sandbox>, PodError> {
    let (network, monitor, files) =
        tokio::join!(make_network(context, plan), make_monitor(context, plan), make_files(context, plan),);
    let attachment = network?;
    let monitor = monitor?;
    files?;
    let record = SandboxRecord { attachment, ..plan.record.clone() };
    let sandbox = Sandbox::new(record, plan.directory.clone(), Arc::clone(&plan.handler), Some(monitor.clone()));
    let sandbox = Arc::new(sandbox);
    watch::begin(context, &sandbox, &monitor);
    let finished = finish(context, plan, &sandbox).await;
    if finished.is_err() {
        // The monitor is about to be ended with the rest.
        sandbox.take_monitor();
    }
    finished.map(|()| sandbox)
}

/// The last steps: the pause container, the record, the publication.
async fn finish(context: &Arc<Context>, plan: &Plan, sandbox: &Arc<Sandbox>) -> Result<(), PodError> {
    if let Some(id) = &plan.record.infra {
        infra::run(context, sandbox, id).await?;
    }
    sandbox.change(|record| {
        record.phase = Phase::Made;
        record.state = SandboxState::Ready;
    })?;
    context.index.insert_sandbox(sandbox);
    context.watch_pod_usage(sandbox);
    // An end before this moment found nothing ready to leave.
    let infra_ended = sandbox.infra().is_some_and(|infra| infra.state() == ContainerState::Exited);
    if infra_ended || sandbox.monitor().is_none() {
        watch::no_longer_ready(context, sandbox);
    }
    Ok(())
}

/// Pins the namespaces, then attaches the pod to the network.
async fn make_network(context: &Context, plan: &Plan) -> Result<Option<Attachment>, PodError> {
    let id = &plan.record.id;
    if plan.record.network.is_some() {
        let deadline = Instant::now() + NETWORK_READY_WAIT;
        let ready = context.engines.networks.wait_ready(deadline).await;
        ready.map_err(PodError::step("waiting for the network", id))?;
    }
    namespaces::pin(plan.pin.clone()).await.map_err(PodError::step("making namespaces", id))?;
    let Some(network) = &plan.record.network else {
        return Ok(None);
    };
    let attached = context.engines.networks.attach(network).await;
    attached.map(Some).map_err(PodError::step("setting up the network", id))
}

/// Starts the monitor, in a cgroup that is made before.
async fn make_monitor(context: &Context, plan: &Plan) -> Result<Monitor, PodError> {
    let id = &plan.record.id;
    if let Some(recorded) = plan.record.monitor_cgroup.clone() {
        let (cgroups, of) = (Arc::clone(&context.engines.cgroups), id.clone());
        let make = move || {
            let path = release::cgroup_path(&recorded)?;
            cgroups.create_undelegated(&path).map_err(PodError::step("creating the monitor's cgroup", &of))
        };
        context.blocking("RunPodSandbox", make).await?;
    }
    Monitor::spawn(&plan.monitor).await.map_err(PodError::step("starting the pod monitor", id))
}

/// Makes the files the pod shares, its log directory and its cgroup.
async fn make_files(context: &Context, plan: &Plan) -> Result<(), PodError> {
    let (record, directory) = (plan.record.clone(), plan.directory.clone());
    let cgroups = Arc::clone(&context.engines.cgroups);
    context
        .blocking("RunPodSandbox", move || {
            let logs = &record.log_directory;
            std::fs::create_dir_all(logs).map_err(PodError::file("creating the log directory", logs))?;
            files::make(&directory, &record)?;
            let path = release::cgroup_path(&record.cgroup)?;
            cgroups.create(&path).map_err(PodError::step("creating the cgroup", &record.id))
        })
        .await
}

/// Unmakes whatever of the plan was made. The answer is the error that began it, with what could not be unmade.
async fn unwind(context: &Context, plan: Plan, error: PodError) -> PodError {
    let mut failures = release::release(context, &plan.record, &plan.directory, None).await;
    if failures.is_empty() {
        match files::forget(&plan.directory, &plan.record) {
            Ok(()) => return error,
            Err(failure) => failures.push(failure),
        }
    }
    failures.insert(0, error);
    let of = format!("pod sandbox {} that could not be made", plan.record.id);
    failures.extend(list_remains(context, plan).err());
    PodError::Teardown { of, failures }
}

/// Lists what is left of a pod that could be neither made nor wholly unmade, as not ready: kubelet stops and removes
/// such pods, and each time the rest is tried again.
fn list_remains(context: &Context, plan: Plan) -> Result<(), PodError> {
    let record = SandboxRecord { phase: Phase::Made, state: SandboxState::NotReady, ..plan.record };
    let sandbox = Arc::new(Sandbox::new(record, plan.directory, plan.handler, None));
    context.index.insert_sandbox(&sandbox);
    sandbox.change(|_| ())
}

/// Refuses what no pod can be, before anything is made.
fn check(config: &SandboxConfig) -> Result<(), PodError> {
    let invalid = |field, reason: &str| Err(PodError::InvalidConfig { field, reason: reason.to_owned() });
    let metadata = &config.metadata;
    if metadata.name.is_empty() || metadata.namespace.is_empty() || metadata.uid.is_empty() {
        return invalid("config.metadata", "name, namespace and uid must not be empty");
    }
    let namespaces = &config.security.namespaces;
    for (field, mode) in
        [("namespace_options.network", &namespaces.network), ("namespace_options.ipc", &namespaces.ipc)]
    {
        if !matches!(mode, NamespaceMode::Pod | NamespaceMode::Node) {
            return invalid(field, "must be POD or NODE");
        }
    }
    if matches!(namespaces.pid, NamespaceMode::Target(_)) {
        return invalid("namespace_options.pid", "TARGET is for containers, not for sandboxes");
    }
    users::check_sandbox(config)?;
    if !config.log_directory.is_empty() && !config.log_directory.starts_with('/') {
        return invalid("config.log_directory", "must be an absolute path");
    }
    let bytes = config.hostname.as_bytes();
    if bytes.len() > MAX_HOSTNAME_BYTES || bytes.iter().any(|b| b.is_ascii_control() || *b == b' ' || *b == b'/') {
        return invalid("config.hostname", "must be a host name of at most 64 bytes");
    }
    Ok(())
}

fn hostname(config: &SandboxConfig, id: &SandboxId) -> String {
    if config.security.namespaces.network == NamespaceMode::Node {
        return rustix::system::uname().nodename().to_string_lossy().into_owned();
    }
    if config.hostname.is_empty() { id.short().to_owned() } else { config.hostname.clone() }
}

fn log_directory(context: &Context, config: &SandboxConfig, id: &SandboxId) -> PathBuf {
    match config.log_directory.as_str() {
        "" => context.config.log_dir.join(id.as_str()),
        directory => PathBuf::from(directory),
    }
}

fn pin_request(
    context: &Context,
    config: &SandboxConfig,
    id: &SandboxId,
    hostname: &str,
) -> Result<PinRequest, PodError> {
    let own_network = config.security.namespaces.network == NamespaceMode::Pod;
    let own_ipc = config.security.namespaces.ipc == NamespaceMode::Pod;
    let mut sysctls = context.config.default_sysctls.clone();
    sysctls.extend(config.sysctls.clone());
    let admitted =
        namespaces::admit(&sysctls, own_network, own_ipc).map_err(PodError::step("checking the sysctls", id))?;
    for name in admitted.skipped.keys() {
        warn!(sandbox_id = %id, sysctl = name, "a sysctl of the host's own namespace is left alone");
    }
    Ok(PinRequest {
        dir: context.config.namespaces_dir.clone(),
        id: id.clone(),
        net: own_network,
        ipc: own_ipc,
        // The host name goes with the network, as in Kubernetes.
        uts: own_network,
        user: users::maps(config),
        hostname: own_network.then(|| hostname.to_owned()),
        sysctls: admitted.accepted,
    })
}

fn pod_network(config: &SandboxConfig, id: &SandboxId, netns: PathBuf, cgroup: &str) -> PodNetwork {
    PodNetwork {
        sandbox_id: id.clone(),
        name: config.metadata.name.clone(),
        namespace: config.metadata.namespace.clone(),
        uid: config.metadata.uid.clone(),
        netns,
        cgroup_path: cgroup.to_owned(),
        annotations: config.annotations.clone(),
        ports: config.port_mappings.iter().filter(|port| port.host_port != 0).cloned().collect(),
    }
}

/// `monitor_cgroup`: `pod` for the pod's own parent, a slice, or empty for the daemon's cgroup.
fn monitor_place(configured: &str) -> Option<MonitorCgroup> {
    match configured {
        "" => None,
        "pod" => Some(MonitorCgroup::Pod),
        slice => Some(MonitorCgroup::Slice(slice.to_owned())),
    }
}
