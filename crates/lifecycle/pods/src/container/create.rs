//! CreateContainer: from a request to a container whose process waits to be let go.
//!
//! ```text
//! image -> record the plan -> root file system -> what the request needs of the host -> specification -> bundle
//!     -> the monitor runs `runtime create` -> record what was learnt -> publish Created
//! ```
//! As with a pod, all that will be made is named by the id, recorded first, and unwound as a whole after a failure.
//! A container out of a checkpoint ([`crate::container::restore`]) takes the same way, except that the runtime is not asked
//! before the start.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crio_cgroups::{Cgroups, Placement};
use crio_checkpoint::Checkpoint;
use crio_images::ResolvedImage;
use crio_runtime::{CreateRequest as RuntimeRequest, Created, LogFile, Stdio};
use crio_types::{
    ContainerConfig, ContainerId, ContainerState, EventKind, ImageSpec, NamespaceMode, Signal, container_name,
};

use crate::container::image_volume::{self, Holds, ImageVolume};
use crate::container::mounts::Expected;
use crate::container::remove::{RuntimeState, release_container};
use crate::container::specify::{self, Bundle};
use crate::container::{Container, Kind, mapped, mounts, restore};
use crate::context::{Context, random_id};
use crate::record::{ContainerRecord, Phase};
use crate::sandbox::release::cgroup_path;
use crate::sandbox::{Sandbox, infra};
use crate::{Outcome, PodError, users, watch};

/// What a CreateContainer asks for; a repeated call joins when it is equal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreateRequest {
    pub(crate) sandbox_id: String,
    pub(crate) config: ContainerConfig,
}

/// Everything that is known of the container before anything is made.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) record: ContainerRecord,
    pub(crate) cgroup: Placement,
    pub(crate) image: ResolvedImage,
    /// Keeps the images it mounts.
    pub(crate) holds: Holds,
    /// What it is made out of besides its image.
    pub(crate) checkpoint: Option<Arc<Checkpoint>>,
}

impl Plan {
    /// The request as it is specified: a checkpoint brings its own command.
    pub(crate) fn config(&self) -> Cow<'_, ContainerConfig> {
        let config = &self.record.config;
        match &self.checkpoint {
            Some(checkpoint) if config.command.is_empty() && config.args.is_empty() => {
                Cow::Owned(ContainerConfig { command: restore::command(checkpoint), ..config.clone() })
            }
            _ => Cow::Borrowed(config),
        }
    }
}

/// Creates a container in a sandbox, or joins whoever is creating it.
pub(crate) async fn create_container(
    context: &Arc<Context>,
    sandbox: &Arc<Sandbox>,
    config: ContainerConfig,
) -> Outcome<ContainerId> {
    let name = container_name(&config.metadata, &sandbox.status().metadata);
    let request = CreateRequest { sandbox_id: sandbox.id().to_string(), config };
    let start = {
        let (context, sandbox, name, request) =
            (Arc::clone(context), Arc::clone(sandbox), name.clone(), request.clone());
        move || create(context, sandbox, name, request.config)
    };
    context.operations.creations.join(&name, request, start).await
}

async fn create(
    context: Arc<Context>,
    sandbox: Arc<Sandbox>,
    name: String,
    config: ContainerConfig,
) -> Result<ContainerId, PodError> {
    if let Some(existing) = context.index.container_named(&name) {
        return same_container(&existing, &config);
    }
    let _creation = sandbox.begin_creation()?;
    // A pod outlives its handler's place in the configuration; nothing new is made in it then.
    let handler = context.engines.runtimes.resolve(&sandbox.status().runtime_handler);
    handler.map_err(PodError::step("choosing the runtime handler", sandbox.id()))?;
    let id = ContainerId::from_bytes(random_id()?);
    check(&config)?;
    users::check_container(&sandbox.record().config, &config)?;
    let (image, checkpoint) = match restore::origin(&context, &sandbox, &config.image).await? {
        Some(origin) => (origin.image, Some(origin.checkpoint)),
        None => (prepare_image(&context, &config).await?, None),
    };
    check_policy(&context, &sandbox, &config, checkpoint.as_ref().map(|_| &image)).await?;
    let directory = context.engines.store.container_run_dir(&id);
    let (volumes, holds) = image_volume::plan(&context, &id, &directory, &config).await?;
    let images = Images { image, volumes, holds };
    let plan = Plan { checkpoint, ..plan(&context, &sandbox, Identity { id, name }, config, images)? };
    let container = make(&context, &sandbox, plan, Kind::Workload).await?;
    context.index.insert_container(&container);
    context.container_event(&container, EventKind::Created);
    Ok(container.id().clone())
}

async fn prepare_image(context: &Context, config: &ContainerConfig) -> Result<ResolvedImage, PodError> {
    let image = context.engines.images.prepare(&config.image).await;
    image.map_err(PodError::step("preparing the image", format!("container {:?}", config.metadata.name)))
}

/// Whether the signature policy of the pod's namespace still allows the image, and those that are mounted: they may have
/// come before the policy. The image of a checkpoint, which nobody named, goes by its own name.
async fn check_policy(
    context: &Context,
    sandbox: &Sandbox,
    config: &ContainerConfig,
    restored: Option<&ResolvedImage>,
) -> Result<(), PodError> {
    let images = context.engines.images.clone();
    let namespace = sandbox.status().metadata.namespace.clone();
    let mounted = config.mounts.iter().filter_map(|mount| Some(&mount.image.as_ref()?.image));
    let name = |spec: &ImageSpec| {
        let specified = &spec.user_specified_image;
        if specified.is_empty() { spec.image.clone() } else { specified.clone() }
    };
    let own = restored.map_or_else(|| name(&config.image), |image| image.name.clone());
    let names: Vec<String> = std::iter::once(own).chain(mounted.map(name)).collect();
    let allowed = move |name: &String| {
        images.check_policy(&namespace, name).map_err(PodError::step("checking the signature policy", name))
    };
    context.blocking("CreateContainer", move || names.iter().try_for_each(allowed)).await
}

/// A retry whose first call finished: the same request gets the container it made.
fn same_container(existing: &Container, config: &ContainerConfig) -> Result<ContainerId, PodError> {
    let record = existing.record();
    if record.config == *config && record.state != ContainerState::Exited {
        return Ok(record.id);
    }
    Err(PodError::NameTaken { name: record.name, owner: format!("container {}", record.id) })
}

struct Identity {
    id: ContainerId,
    name: String,
}

/// The image a container is made of, and those it mounts.
struct Images {
    image: ResolvedImage,
    volumes: Vec<ImageVolume>,
    holds: Holds,
}

fn plan(
    context: &Context,
    sandbox: &Sandbox,
    identity: Identity,
    config: ContainerConfig,
    images: Images,
) -> Result<Plan, PodError> {
    let Identity { id, name } = identity;
    let Images { image, volumes, holds } = images;
    let pod = sandbox.record();
    let cgroup = context.engines.cgroups.container_cgroup(&pod.config.cgroup_parent, &id);
    let cgroup = cgroup.map_err(PodError::step("placing the cgroup", format!("container {id}")))?;
    let record = ContainerRecord {
        name,
        log_path: log_path(&pod.log_directory, &config.log_path, &id)?,
        cgroup: cgroup.path.as_str().to_owned(),
        bundle: context.engines.store.container_run_dir(&id),
        stop_signal: stop_signal(&config, &image),
        image_volumes: volumes,
        shares_pids: config.security.namespaces.pid != NamespaceMode::Container,
        ..ContainerRecord::planned(id, pod.id, config, &image)
    };
    Ok(Plan { record, cgroup, image, holds, checkpoint: None })
}

/// Makes what the plan names; on a failure all of it is unwound.
pub(crate) async fn make(
    context: &Arc<Context>,
    sandbox: &Arc<Sandbox>,
    plan: Plan,
    kind: Kind,
) -> Result<Arc<Container>, PodError> {
    sandbox.directory().write_container(&plan.record)?;
    let record = plan.record.clone();
    match try_make(context, sandbox, plan, kind).await {
        Ok(container) => Ok(container),
        Err(error) => Err(unwind(context, sandbox, &record, error).await),
    }
}

async fn try_make(
    context: &Arc<Context>,
    sandbox: &Arc<Sandbox>,
    plan: Plan,
    kind: Kind,
) -> Result<Arc<Container>, PodError> {
    let bundle = {
        let (shared, sandbox, plan) = (Arc::clone(context), Arc::clone(sandbox), plan.clone());
        let make = move || match kind {
            Kind::Workload => specify::bundle(&shared, &sandbox, &plan),
            Kind::Infra => infra::bundle(&shared, &sandbox, &plan),
        };
        context.blocking("CreateContainer", make).await?
    };
    let awaits_restore = plan.checkpoint.is_some().then(|| restore::directory(context, &plan));
    let mut record = plan.record;
    let Bundle { rootfs, mounts, expected, user, process } = bundle;
    if awaits_restore.is_none() {
        let created = run_create(context, sandbox, &record).await?;
        let (state_dir, id) = (context.config.state_dir.clone(), record.id.clone());
        context.blocking("CreateContainer", move || mapped::clear(&state_dir, &id)).await?;
        (record.pid, record.start_time) = (created.pid, created.start_time);
        verify_mounts(context, &record, expected).await?;
    }
    record.awaits_restore = awaits_restore;
    record.phase = Phase::Made;
    record.rootfs = rootfs;
    record.mounts = mounts;
    record.user = Some(user);
    let container = Arc::new(Container::new(record, process, Arc::clone(sandbox), plan.holds));
    container.change(|_| ())?;
    if kind == Kind::Workload {
        context.watch_usage(&container);
    }
    if let Some(exit) = sandbox.admit(&container, kind) {
        watch::record_exit(context, &container, &exit);
    }
    Ok(container)
}

/// Whether the runtime mounted what was found at the sources.
pub(crate) async fn verify_mounts(
    context: &Context,
    record: &ContainerRecord,
    expected: Vec<Expected>,
) -> Result<(), PodError> {
    if expected.is_empty() {
        return Ok(());
    }
    let (pid, masked) = (record.pid, record.config.security.masked_paths.clone());
    context.blocking("CreateContainer", move || mounts::verify(pid, &expected, &masked)).await
}

/// The log's path for the monitor: links in the pod's log directory are the administrator's and are followed here, those
/// below it could be the pod's own doing, and the monitor follows none.
fn resolved_log_path(directory: &Path, path: &Path) -> Result<PathBuf, PodError> {
    let resolved =
        std::fs::canonicalize(directory).map_err(PodError::file("resolving the log directory", directory))?;
    Ok(path.strip_prefix(directory).map_or_else(|_| path.to_owned(), |below| resolved.join(below)))
}

/// What the monitor is asked to make.
pub(crate) fn runtime_request<'a>(
    context: &Context,
    sandbox: &'a Sandbox,
    record: &'a ContainerRecord,
) -> Result<RuntimeRequest<'a>, PodError> {
    let (cgroups, path) = (&context.engines.cgroups, cgroup_path(&record.cgroup)?);
    let config = &record.config;
    let log = resolved_log_path(&sandbox.record().log_directory, &record.log_path)?;
    Ok(RuntimeRequest {
        handler: sandbox.handler(),
        id: &record.id,
        bundle: &record.bundle,
        log: Some(LogFile { path: log, size_max_bytes: context.config.log_size_max_bytes }),
        stdio: Stdio { tty: config.tty, stdin: config.stdin, stdin_once: config.stdin_once },
        // The one whose processes are the container's and whose kills count comes first.
        cgroups: cgroups.memory_directory(&path).into_iter().chain(cgroups.directories(&path)).collect(),
        pod_cgroup: pod_cgroup(cgroups, &sandbox.record().config.cgroup_parent),
    })
}

/// Has the monitor run `runtime create`. Answers the process.
async fn run_create(context: &Context, sandbox: &Sandbox, record: &ContainerRecord) -> Result<Created, PodError> {
    let monitor = sandbox.need_monitor()?;
    let created = monitor.create(runtime_request(context, sandbox, record)?).await;
    created.map_err(PodError::step("creating the process", format!("container {:?}", record.config.metadata.name)))
}

/// Where the kernel counts the kills of the whole pod.
pub(crate) fn pod_cgroup(cgroups: &Cgroups, parent: &str) -> Option<PathBuf> {
    cgroups.memory_directory(&cgroups.pod_cgroup(parent).ok()??)
}

/// Unmakes whatever was made. The answer is the error that began it, with what could not be unmade.
async fn unwind(context: &Arc<Context>, sandbox: &Sandbox, record: &ContainerRecord, error: PodError) -> PodError {
    let monitor = sandbox.monitor();
    let mut failures = release_container(context, record, RuntimeState::of(sandbox, monitor.as_deref())).await;
    sandbox.dismiss(&record.id);
    if failures.is_empty() {
        match sandbox.directory().remove_container(&record.id) {
            Ok(()) => return error,
            Err(failure) => failures.push(failure),
        }
    }
    // The record stays, so that removing the pod or the next start of the daemon tries again.
    failures.insert(0, error);
    PodError::Teardown { of: format!("container {:?} that could not be made", record.config.metadata.name), failures }
}

/// Refuses what no container can be, before anything is made.
fn check(config: &ContainerConfig) -> Result<(), PodError> {
    let invalid = |field, reason: &str| Err(PodError::InvalidConfig { field, reason: reason.to_owned() });
    if config.metadata.name.is_empty() {
        return invalid("config.metadata.name", "must not be empty");
    }
    if config.image.image.is_empty() {
        return invalid("config.image.image", "must not be empty");
    }
    Ok(())
}

/// Where the log goes: always below the pod's log directory.
fn log_path(directory: &Path, requested: &str, id: &ContainerId) -> Result<PathBuf, PodError> {
    if requested.is_empty() {
        return Ok(directory.join(format!("{id}.log")));
    }
    let requested = Path::new(requested);
    if requested.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Ok(directory.join(requested));
    }
    let reason = "must be a path below the sandbox's log directory".to_owned();
    Err(PodError::InvalidConfig { field: "config.log_path", reason })
}

/// The request's, else the image's, else SIGTERM. What an image writes and no kernel knows is passed over.
fn stop_signal(config: &ContainerConfig, image: &ResolvedImage) -> Signal {
    let of_image = || image.config.config().as_ref().and_then(|c| c.stop_signal().as_deref()).and_then(Signal::parse);
    config.stop_signal.or_else(of_image).unwrap_or(Signal::TERM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_stay_below_the_log_directory() {
        let id = ContainerId::from_bytes([7; 32]);
        let directory = Path::new("/var/log/pods/a");
        let below = |rest: &str| Some(directory.join(rest));
        let cases = [
            ("web/0.log", below("web/0.log")),
            ("", below(&format!("{id}.log"))),
            ("./web.log", below("./web.log")),
            ("../b/0.log", None),
            ("web/../../b", None),
            ("/etc/passwd", None),
        ];
        for (requested, expected) in cases {
            assert_eq!(log_path(directory, requested, &id).ok(), expected, "{requested:?}");
        }
    }
}
