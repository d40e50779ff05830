//! Puts the parts of a container's specification together.

use crio_devices::{Edits, HookPoint};
use crio_security::{CapabilitySets, Confinement, ResolvedUser};
use oci_spec::runtime::{
    Hook, Hooks, Linux, LinuxCapabilities, LinuxNamespace, LinuxResources, PosixRlimit, Process, Root, Spec, User,
};

use crate::command::{self, Environment};
use crate::mounts::{self, Mounts};
use crate::namespaces::{self, CgroupNamespace};
use crate::{SpecError, SpecInput, annotations, resources};

/// A file of cgroup v1 through which a container could run a program on the host.
const RELEASE_AGENT: &str = "/sys/fs/cgroup/systemd/release_agent";

/// The specification of a container.
///
/// # Errors
/// The request asks for something that cannot be, or that the runtime cannot do.
pub fn generate(input: &SpecInput<'_>) -> Result<Spec, SpecError> {
    let config = input.container.config;
    let security = &config.security;
    if security.privileged && !input.sandbox.config.security.privileged {
        return Err(SpecError::PrivilegedInUnprivilegedSandbox);
    }
    let arguments = command::arguments(&config.command, &config.args, input.image.config)?;
    let mounts = mounts::of_container(input, &arguments)?;
    let cgroup = CgroupNamespace::of(input.host.cgroup_version, input.confinement.privileged);
    let namespaces = namespaces::of_container(&input.sandbox, &security.namespaces, cgroup)?;
    let read_only = security.readonly_rootfs || input.defaults.read_only;
    let mut spec = Spec::default();
    spec.set_version(input.host.runtime.oci_version.clone())
        .set_root(Some(root(input.container.rootfs, read_only)))
        .set_hostname(namespaces::has_uts(&namespaces).then(|| input.sandbox.hostname.to_owned()))
        .set_annotations(Some(annotations::of_container(input)))
        .set_process(Some(process(input, arguments)?))
        .set_linux(Some(linux(input, &mounts, namespaces)?))
        .set_mounts(Some(mounts.list))
        .set_hooks(hooks(input.edits));
    Ok(spec)
}

pub(crate) fn root(path: &std::path::Path, read_only: bool) -> Root {
    let mut root = Root::default();
    root.set_path(path.to_owned()).set_readonly(Some(read_only));
    root
}

fn process(input: &SpecInput<'_>, arguments: Vec<String>) -> Result<Process, SpecError> {
    let config = input.container.config;
    let mut environment =
        Environment::of_container(config, input.image.config, &input.defaults.env, input.sandbox.hostname)?;
    if mounts::needs_systemd(&arguments) {
        environment.set("container", "crio");
    }
    for (name, value) in &input.edits.env {
        environment.set(name, value);
    }
    let score = resources::oom_score_adj(config.resources.as_ref(), input.host)?;
    let mut process = confined_process(input.confinement, score);
    process
        .set_terminal(Some(config.tty))
        .set_user(user(input.user, &input.edits.additional_gids, input.container.umask))
        .set_args(Some(arguments))
        .set_env(Some(environment.lines()))
        .set_cwd(command::working_directory(&config.working_dir, input.image.config))
        .set_rlimits(rlimits(&input.defaults.ulimits));
    Ok(process)
}

/// A process with nothing but its confinement.
pub(crate) fn confined_process(confinement: &Confinement, oom_score_adj: i32) -> Process {
    let mut process = Process::default();
    process
        .set_capabilities(Some(capabilities(&confinement.capabilities)))
        .set_no_new_privileges(Some(confinement.no_new_privileges))
        .set_apparmor_profile(confinement.apparmor.clone())
        .set_selinux_label(confinement.selinux.as_ref().map(|labels| labels.process.clone()))
        .set_oom_score_adj(Some(oom_score_adj))
        .set_rlimits(None);
    process
}

/// The user with the groups its devices need; no device makes it a member of root's group.
fn user(resolved: &ResolvedUser, of_devices: &[u32], umask: Option<u32>) -> User {
    let mut groups = resolved.groups.clone();
    for gid in of_devices.iter().filter(|gid| **gid != 0) {
        if !groups.contains(gid) {
            groups.push(*gid);
        }
    }
    let mut user = User::default();
    user.set_uid(resolved.uid)
        .set_gid(resolved.gid)
        .set_umask(umask)
        .set_additional_gids((!groups.is_empty()).then_some(groups));
    user
}

/// The hooks devices bring, in their order at each point.
fn hooks(edits: &Edits) -> Option<Hooks> {
    let at = |point: HookPoint| {
        let hooks = edits.hooks.iter().filter(|(of, _)| *of == point).map(|(_, hook)| hook.clone());
        Some(hooks.collect::<Vec<Hook>>()).filter(|hooks| !hooks.is_empty())
    };
    let mut hooks = Hooks::default();
    hooks
        .set_prestart(at(HookPoint::Prestart))
        .set_create_runtime(at(HookPoint::CreateRuntime))
        .set_create_container(at(HookPoint::CreateContainer))
        .set_start_container(at(HookPoint::StartContainer))
        .set_poststart(at(HookPoint::Poststart))
        .set_poststop(at(HookPoint::Poststop));
    (!edits.hooks.is_empty()).then_some(hooks)
}

fn capabilities(sets: &CapabilitySets) -> LinuxCapabilities {
    let mut capabilities = LinuxCapabilities::default();
    capabilities
        .set_bounding(Some(sets.bounding.oci()))
        .set_effective(Some(sets.effective.oci()))
        .set_permitted(Some(sets.permitted.oci()))
        .set_inheritable(Some(sets.inheritable.oci()))
        .set_ambient(Some(sets.ambient.oci()));
    capabilities
}

fn rlimits(configured: &[PosixRlimit]) -> Option<Vec<PosixRlimit>> {
    (!configured.is_empty()).then(|| configured.to_vec())
}

fn linux(input: &SpecInput<'_>, mounts: &Mounts, namespaces: Vec<LinuxNamespace>) -> Result<Linux, SpecError> {
    let config = input.container.config;
    let privileged = input.confinement.privileged;
    let mut limits = resources::limits(config.resources.as_ref(), input.defaults.pids_limit, input.host)?;
    limits.set_devices(Some(resources::device_rules(input.devices, privileged)));
    let mut linux = confined_linux(input.confinement, limits, namespaces);
    linux
        .set_cgroups_path(Some(input.container.cgroups_path.into()))
        .set_devices(Some(resources::device_nodes(input.devices)))
        .set_intel_rdt(input.edits.intel_rdt.clone())
        .set_rootfs_propagation(mounts.root_propagation.map(str::to_owned));
    map_users(&mut linux, &input.sandbox);
    if mounts.shows_release_agent {
        let mut masked = linux.masked_paths().clone().unwrap_or_default();
        masked.push(RELEASE_AGENT.to_owned());
        linux.set_masked_paths(Some(masked));
    }
    Ok(linux)
}

/// The Linux part with a confinement, limits and namespaces.
pub(crate) fn confined_linux(
    confinement: &Confinement,
    limits: LinuxResources,
    namespaces: Vec<LinuxNamespace>,
) -> Linux {
    let list = |paths: &[String]| (!paths.is_empty()).then(|| paths.to_vec());
    let mut linux = Linux::default();
    linux
        .set_resources(Some(limits))
        .set_namespaces(Some(namespaces))
        .set_seccomp(confinement.seccomp.filter.clone())
        .set_masked_paths(list(&confinement.masked_paths))
        .set_readonly_paths(list(&confinement.readonly_paths))
        .set_mount_label(confinement.selinux.as_ref().map(|labels| labels.mount.clone()));
    linux
}

/// The mappings of the pod's user namespace, which runtimes want beside its path.
pub(crate) fn map_users(linux: &mut Linux, sandbox: &crate::SandboxFacts<'_>) {
    if sandbox.namespaces.user.is_none() {
        return;
    }
    if let Some(user) = &sandbox.config.security.namespaces.user {
        linux
            .set_uid_mappings(Some(namespaces::mappings(&user.uids)))
            .set_gid_mappings(Some(namespaces::mappings(&user.gids)));
    }
}
