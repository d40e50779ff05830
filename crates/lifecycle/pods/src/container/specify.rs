//! From a planned container to its bundle: a mounted root, what the request needs of the host, and `config.json`.
//!
//! All of it blocks (mounts, small files), so it runs on the blocking pool. What the specification says is decided in
//! `crio-spec`; here its facts are collected.

mod devices;
mod root;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crio_security::user::{self, ResolvedUser, SynthesisedFile, UserRequest};
use crio_security::{Confinement, PodContext};
use crio_spec::{
    CgroupDriver, ContainerFacts, Defaults, HostFacts, ImageFacts, MountKind, PodNamespaces, ResolvedMount,
    SandboxFacts, SpecInput,
};
use crio_storage::{IdMappings, NewContainer};
use crio_sys::confined::Root;
use crio_types::{ContainerConfig, ContainerId, ContainerState, ContainerUser, Labels, Mount, NamespaceMode};
use oci_spec::runtime::{Process, Spec};
use rustix::fs::Mode;

use crate::PodError;
use crate::config::ImageVolumes;
use crate::container::create::Plan;
use crate::container::mapped;
use crate::container::mounts::{self, Expected};
use crate::container::restore;
use crate::context::Context;
use crate::record::{ContainerRecord, SandboxRecord};
use crate::sandbox::{Sandbox, files};
use crate::users;

/// What making the bundle taught.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) rootfs: PathBuf,
    /// The mounts of the request, host paths resolved.
    pub(crate) mounts: Vec<Mount>,
    /// What the container shall see of the host.
    pub(crate) expected: Vec<Expected>,
    pub(crate) user: ContainerUser,
    pub(crate) process: Process,
}

/// Makes the bundle of a planned container.
pub(crate) fn bundle(context: &Context, sandbox: &Sandbox, plan: &Plan) -> Result<Bundle, PodError> {
    let record = &plan.record;
    let pod = sandbox.record();
    let security = &context.live.load().security;
    let confinement = security.confine_in_pod(&pod_context(sandbox, &pod), &record.config.security);
    let of = format!("container {:?}", record.config.metadata.name);
    let confinement = confinement.map_err(PodError::step("confining", of))?;
    let label = mount_label(&confinement);
    let rootfs = mount_root(context, &pod, plan, label)?;
    root::check(&rootfs)?;
    let user = resolve_user(&rootfs, plan)?;
    users::check_user(&pod, &user)?;
    let namespace = pod.user_namespace()?;
    let host = mounts::Host {
        config: &context.config,
        store: &context.engines.store,
        labels: confinement.selinux.as_ref(),
        user: namespace.as_ref(),
    };
    let mut resolved = mounts::resolve(&host, record)?;
    let requested = resolved.shown(record);
    let root = ContainerRoot { path: &rootfs, owner: pod.root_owner(), id: &record.id };
    resolved.mounts.extend(image_volumes(context, plan, &root, &resolved.mounts)?);
    make_working_dir(&root, plan)?;
    let facts =
        Facts { rootfs: &rootfs, user: &user, confinement: &confinement, mounts: &resolved.mounts, owner: root.owner };
    let mut spec = specify(context, sandbox, plan, &facts)?;
    mapped::stage(context, &pod, record, &mut spec)?;
    if let Some(checkpoint) = &plan.checkpoint {
        restore::unpack(context, plan, checkpoint, &rootfs, &spec)?;
    }
    write_spec(&record.bundle, &spec)?;
    let process = spec.process().clone().unwrap_or_default();
    let user = ContainerUser { uid: user.uid, gid: user.gid, groups: user.groups };
    Ok(Bundle { rootfs, mounts: requested, expected: resolved.expected, user, process })
}

/// The SELinux label of the file systems that are made for a container; empty for none.
pub(crate) fn mount_label(confinement: &Confinement) -> &str {
    confinement.selinux.as_ref().map_or("", |labels| labels.mount.as_str())
}

/// Makes the container's layer and mounts its root with this label.
pub(crate) fn mount_root(
    context: &Context,
    pod: &SandboxRecord,
    plan: &Plan,
    label: &str,
) -> Result<PathBuf, PodError> {
    let record = &plan.record;
    let of = format!("container {}", record.id);
    let store = &context.engines.store;
    let new = NewContainer {
        id: record.id.clone(),
        names: vec![record.name.clone()],
        image: Some(plan.image.id.clone()),
        top_layer: plan.image.top_layer.clone(),
        metadata: metadata(record),
        mount_label: label.to_owned(),
        id_mappings: pod.user_maps().map(|maps| IdMappings { uids: maps.uids, gids: maps.gids }),
    };
    let user = pod.user_namespace()?;
    store.create_container(new).map_err(PodError::step("making the root file system", &of))?;
    let mounted = match &user {
        Some(user) => store.mount_container_mapped(&record.id, user.as_fd()),
        None => store.mount_container(&record.id),
    };
    mounted.map_err(PodError::step("mounting the root file system", &of))
}

/// The text kept with the storage's container record: CRI-O's fields, so that its tools recognise the container, and
/// so that after a reboot we recognise our own.
fn metadata(record: &ContainerRecord) -> String {
    serde_json::json!({
        "pod-id": record.sandbox_id,
        "pod-name": "",
        "image-name": record.image_name,
        "image-id": record.image_id,
        "name": record.name,
        "metadata-name": record.config.metadata.name,
        "attempt": record.config.metadata.attempt,
        "created-at": record.created_at.0 / 1_000_000_000,
        "owner": crate::OWNER,
    })
    .to_string()
}

fn resolve_user(rootfs: &Path, plan: &Plan) -> Result<ResolvedUser, PodError> {
    let config = &plan.record.config;
    let image = plan.image.config.config().as_ref();
    let image_user = image.and_then(|image| image.user().clone()).unwrap_or_default();
    let home = home(config, plan);
    let request = UserRequest { security: &config.security, image_user: &image_user, home: &home };
    user::resolve(rootfs, &request)
        .map_err(PodError::step("resolving the user", format!("container {}", plan.record.id)))
}

/// `HOME` of the request, else of the image, else the working directory.
fn home(config: &ContainerConfig, plan: &Plan) -> String {
    let requested = config.envs.iter().rfind(|env| env.key == "HOME");
    let of_image = || {
        let image = plan.image.config.config().as_ref()?;
        let env = image.env().as_ref()?;
        env.iter().rev().find_map(|line| line.strip_prefix("HOME=").map(str::to_owned))
    };
    requested
        .map(|env| String::from_utf8_lossy(&env.value).into_owned())
        .or_else(of_image)
        .unwrap_or_else(|| config.working_dir.clone())
}

/// The volumes the image declares, as the configuration wants them, where the request mounts nothing itself.
fn image_volumes(
    context: &Context,
    plan: &Plan,
    root: &ContainerRoot<'_>,
    requested: &[ResolvedMount],
) -> Result<Vec<ResolvedMount>, PodError> {
    let declared = plan.image.config.config().as_ref().and_then(|image| image.volumes().clone()).unwrap_or_default();
    let free = |path: &&String| !requested.iter().any(|mount| mount.mount.container_path == **path);
    let mut volumes = Vec::new();
    for (number, path) in declared.iter().filter(free).enumerate() {
        match context.config.image_volumes {
            ImageVolumes::Ignore => {}
            ImageVolumes::Mkdir => root.make(path)?,
            ImageVolumes::Bind => {
                let source = context.engines.store.container_dir(&plan.record.id).join(format!("volume-{number}"));
                std::fs::create_dir_all(&source).map_err(PodError::file("creating the volume", &source))?;
                let mount = Mount { container_path: path.clone(), ..Mount::default() };
                volumes.push(ResolvedMount { mount, source, kind: MountKind::ImageVolume, sharing: None });
            }
        }
    }
    Ok(volumes)
}

/// The working directory need not exist in the image.
fn make_working_dir(root: &ContainerRoot<'_>, plan: &Plan) -> Result<(), PodError> {
    let requested = plan.record.config.working_dir.clone();
    let of_image = || plan.image.config.config().as_ref().and_then(|image| image.working_dir().clone());
    let directory = if requested.is_empty() { of_image().unwrap_or_default() } else { requested };
    if directory.is_empty() || directory == "/" { Ok(()) } else { root.make(&directory) }
}

/// A container's mounted root.
struct ContainerRoot<'a> {
    path: &'a Path,
    /// Its root user on the host, when that is not the host's.
    owner: Option<(u32, u32)>,
    id: &'a ContainerId,
}

impl ContainerRoot<'_> {
    /// Makes a directory below it, never outside, whatever links the image holds.
    fn make(&self, path: &str) -> Result<(), PodError> {
        let mode = Mode::from_raw_mode(0o755);
        let made = Root::open(self.path).and_then(|root| root.create_directories_of(Path::new(path), mode, self.owner));
        made.map(drop).map_err(|source| {
            let path = format!("{path:?} in the root of container {}", self.id);
            PodError::File { doing: "creating", path, source }
        })
    }
}

/// What was found out for the specification.
struct Facts<'a> {
    rootfs: &'a Path,
    user: &'a ResolvedUser,
    confinement: &'a Confinement,
    mounts: &'a [ResolvedMount],
    /// The container's root user on the host, when that is not the host's.
    owner: Option<(u32, u32)>,
}

fn specify(context: &Context, sandbox: &Sandbox, plan: &Plan, facts: &Facts<'_>) -> Result<Spec, PodError> {
    let record = &plan.record;
    let of = format!("container {:?}", record.config.metadata.name);
    let pod = sandbox.record();
    let (devices, edits) = devices::resolve(context, sandbox, record, facts.user)?;
    let passwd = write_synthesised(&record.bundle.join("passwd"), facts.user.passwd.as_ref(), facts.owner)?;
    let group = write_synthesised(&record.bundle.join("group"), facts.user.group.as_ref(), facts.owner)?;
    let log_path = record.log_path.display().to_string();
    let target = target_namespace(context, record)?;
    let repo_digests = [record.image_ref.clone()];
    let allowed_annotations = sandbox.handler().config.allowed_annotations.clone();
    let defaults = Defaults { allowed_annotations, ..context.config.defaults.clone() };
    let sandbox_owned = OwnedSandboxFacts::of(sandbox, &pod)?;
    let config = plan.config();
    let input = SpecInput {
        container: ContainerFacts {
            id: &record.id,
            name: &record.name,
            config: &config,
            rootfs: facts.rootfs,
            cgroups_path: &plan.cgroup.oci_path,
            cgroup_driver: cgroup_driver(context),
            log_path: &log_path,
            created: record.created_at,
            passwd_path: passwd.as_deref(),
            group_path: group.as_deref(),
            umask: None,
        },
        sandbox: SandboxFacts { target_pid_namespace: target.as_deref(), ..sandbox_owned.facts(&pod) },
        image: ImageFacts {
            config: &plan.image.config,
            requested_name: &record.config.image.image,
            name: &plan.image.name,
            id: plan.image.id.as_str(),
            repo_digests: if record.image_ref.contains('@') { &repo_digests } else { &[] },
        },
        user: facts.user,
        confinement: facts.confinement,
        mounts: facts.mounts,
        devices: &devices,
        edits: &edits,
        host: &host_facts(context, sandbox),
        defaults: &defaults,
    };
    crio_spec::generate(&input).map_err(PodError::step("writing the specification", &of))
}

/// The pod, as far as the confinement of its containers goes.
pub(crate) fn pod_context<'a>(sandbox: &'a Sandbox, pod: &'a SandboxRecord) -> PodContext<'a> {
    PodContext { id: Some(&pod.id), security: &pod.config.security, handler: &sandbox.handler().name }
}

/// What the sandbox's facts borrow from.
pub(crate) struct OwnedSandboxFacts {
    namespaces: PodNamespaces,
    files: crio_spec::PodFiles,
    ips: Vec<std::net::IpAddr>,
    annotations: Labels,
    handler: String,
}

impl OwnedSandboxFacts {
    pub(crate) fn of(sandbox: &Sandbox, pod: &SandboxRecord) -> Result<Self, PodError> {
        let shares = pod.config.security.namespaces.pid == NamespaceMode::Pod;
        let infra = sandbox.infra().filter(|_| shares);
        let pid = infra.map(|infra| infra.pid_namespace()).transpose()?;
        Ok(Self {
            namespaces: PodNamespaces {
                network: pod.namespaces.net.clone(),
                ipc: pod.namespaces.ipc.clone(),
                uts: pod.namespaces.uts.clone(),
                user: pod.namespaces.user.clone(),
                pid,
            },
            files: files::plan(sandbox.directory(), &pod.config),
            ips: pod.ips(),
            annotations: runtime_annotations(sandbox, pod),
            handler: sandbox.handler().name.clone(),
        })
    }

    pub(crate) fn facts<'a>(&'a self, pod: &'a SandboxRecord) -> SandboxFacts<'a> {
        SandboxFacts {
            id: &pod.id,
            name: &pod.name,
            config: &pod.config,
            hostname: &pod.hostname,
            namespaces: &self.namespaces,
            target_pid_namespace: None,
            files: &self.files,
            ips: &self.ips,
            runtime_annotations: &self.annotations,
            runtime_handler: &self.handler,
        }
    }
}

/// What of the pod's annotations may reach the runtime: the handler's defaults, then the request's own as far as the
/// handler allows them.
fn runtime_annotations(sandbox: &Sandbox, pod: &SandboxRecord) -> Labels {
    let handler = &sandbox.handler().config;
    let mut annotations = handler.default_annotations.clone();
    annotations.extend(crio_spec::permitted_annotations(&pod.config.annotations, &handler.allowed_annotations));
    annotations
}

/// The host's facts, with those of the sandbox's runtime.
pub(crate) fn host_facts(context: &Context, sandbox: &Sandbox) -> HostFacts {
    let handler = sandbox.handler();
    let mut host = context.host.clone();
    host.runtime.oci_version.clone_from(&handler.features.oci_version);
    host.runtime.recursive_read_only = handler.features.recursive_read_only;
    host.runtime.minimum_memory_bytes = i64::try_from(handler.config.container_min_memory_bytes).unwrap_or(i64::MAX);
    host
}

pub(crate) fn cgroup_driver(context: &Context) -> CgroupDriver {
    match context.engines.cgroups.driver() {
        crio_cgroups::Driver::Cgroupfs => CgroupDriver::Cgroupfs,
        crio_cgroups::Driver::Systemd => CgroupDriver::Systemd,
    }
}

/// The PID namespace of the container that this one wants to join.
fn target_namespace(context: &Context, record: &ContainerRecord) -> Result<Option<PathBuf>, PodError> {
    let NamespaceMode::Target(target) = &record.config.security.namespaces.pid else {
        return Ok(None);
    };
    let invalid = |reason: String| PodError::InvalidConfig { field: "namespace_options.target_id", reason };
    let container = context.index.find_container(target)?;
    let container = container.ok_or_else(|| invalid(format!("container {target:?} does not exist")))?;
    if *container.sandbox().id() != record.sandbox_id {
        return Err(invalid(format!("container {target:?} is in another pod")));
    }
    if container.state() != ContainerState::Running {
        return Err(invalid(format!("container {target:?} is not running")));
    }
    container.pid_namespace().map(Some)
}

/// Writes a file that is mounted over one of the image's. Where the image has none it is root's, that is `owner`'s.
fn write_synthesised(
    path: &Path,
    file: Option<&SynthesisedFile>,
    owner: Option<(u32, u32)>,
) -> Result<Option<PathBuf>, PodError> {
    use std::os::unix::fs::{PermissionsExt, chown};
    let Some(file) = file else { return Ok(None) };
    let failed = || PodError::file("writing", path);
    std::fs::write(path, &file.content).map_err(failed())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(file.mode)).map_err(failed())?;
    let (uid, gid) = owner.filter(|_| file.uid == 0).unwrap_or((file.uid, file.gid));
    chown(path, Some(uid), Some(gid)).map_err(failed())?;
    Ok(Some(path.to_owned()))
}

/// Writes `config.json`.
pub(crate) fn write_spec(bundle: &Path, spec: &Spec) -> Result<(), PodError> {
    let path = bundle.join("config.json");
    let json = serde_json::to_vec(spec).map_err(|error| PodError::file("encoding", &path)(error.into()))?;
    std::fs::write(&path, json).map_err(PodError::file("writing", &path))
}
