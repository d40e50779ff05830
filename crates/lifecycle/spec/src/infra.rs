//! The specification of a pod's pause container, which holds a shared PID namespace and does nothing else.
//!
//! Its root is read-only, it has no capability and no device, hardly any share of a processor, and the OOM killer takes
//! it last.

use std::path::Path;

use crio_security::Confinement;
use crio_types::Timestamp;
use oci_spec::image::ImageConfiguration;
use oci_spec::runtime::{Linux, LinuxCpu, LinuxResources, Process, Spec, User};

use crate::command::{self, Environment};
use crate::generate::{confined_linux, confined_process, map_users, root};
use crate::namespaces::{self, CgroupNamespace};
use crate::{CgroupDriver, HostFacts, SandboxFacts, SpecError, annotations, mounts, resources};

/// The least share of a processor there is.
const CPU_SHARES: u64 = 2;
/// The last but one to be killed: kubelet and the runtime are at −999.
const OOM_SCORE_ADJ: i32 = -998;

/// What [`infra_spec`] makes the pause container's specification of.
#[derive(Debug, Clone)]
pub struct InfraInput<'a> {
    /// The sandbox. Its `namespaces.pid` is ignored: the pause container makes the PID namespace.
    pub sandbox: SandboxFacts<'a>,
    /// The pause image's configuration.
    pub image: &'a ImageConfiguration,
    /// The pause image's name.
    pub image_name: &'a str,
    /// `pause_command`; empty for the image's own.
    pub command: &'a [String],
    /// What confines it.
    pub confinement: &'a Confinement,
    /// The mounted root file system on the host.
    pub rootfs: &'a Path,
    /// The OCI `cgroupsPath`.
    pub cgroups_path: &'a str,
    /// Which program manages cgroups.
    pub cgroup_driver: CgroupDriver,
    /// Absolute path of its log.
    pub log_path: &'a str,
    /// When it is created.
    pub created: Timestamp,
    /// What the host and the runtime can do.
    pub host: &'a HostFacts,
    /// `infra_ctr_cpuset`; empty for none.
    pub cpuset: &'a str,
}

/// The specification of the pause container.
///
/// # Errors
/// The image names no command and none is configured.
pub fn infra_spec(input: &InfraInput<'_>) -> Result<Spec, SpecError> {
    let sandbox = &input.sandbox;
    let namespaces = namespaces::of_infra(sandbox, CgroupNamespace::of(input.host.cgroup_version, false));
    let mut spec = Spec::default();
    spec.set_version(input.host.runtime.oci_version.clone())
        .set_root(Some(root(input.rootfs, true)))
        .set_hostname(namespaces::has_uts(&namespaces).then(|| sandbox.hostname.to_owned()))
        .set_mounts(Some(mounts::infra(sandbox)))
        .set_annotations(Some(annotations::of_infra(input)))
        .set_process(Some(process(input)?));
    let mut linux = confined_linux(input.confinement, limits(input), namespaces);
    place(&mut linux, input);
    spec.set_linux(Some(linux));
    Ok(spec)
}

fn place(linux: &mut Linux, input: &InfraInput<'_>) {
    linux.set_cgroups_path(Some(input.cgroups_path.into()));
    map_users(linux, &input.sandbox);
}

fn process(input: &InfraInput<'_>) -> Result<Process, SpecError> {
    let environment = Environment::of_image(input.image, false, &[], input.sandbox.hostname);
    let score = OOM_SCORE_ADJ.max(input.host.minimum_oom_score_adj);
    let mut process = confined_process(input.confinement, score);
    process
        .set_terminal(Some(false))
        .set_user(user(input)?)
        .set_args(Some(command::arguments(input.command, &[], input.image)?))
        .set_env(Some(environment.lines()))
        .set_cwd(command::working_directory("", input.image));
    Ok(process)
}

/// The user the pod's request names, else the image's when it is a number; pause images have no user file to look a
/// name up in.
fn user(input: &InfraInput<'_>) -> Result<User, SpecError> {
    let security = &input.sandbox.config.security;
    let image_user = input.image.config().as_ref().and_then(|config| config.user().as_deref()).unwrap_or_default();
    let (of_image, group_of_image) = image_user.split_once(':').unwrap_or((image_user, ""));
    let number = |text: &str| text.parse::<u32>().ok().filter(|id| *id <= crio_security::user::MAX_ID).unwrap_or(0);
    let uid = security.run_as_user.map(|uid| id("runAsUser", uid)).transpose()?.unwrap_or_else(|| number(of_image));
    let gid = security.run_as_group.map(|gid| id("runAsGroup", gid)).transpose()?;
    let mut user = User::default();
    user.set_uid(uid).set_gid(gid.unwrap_or_else(|| number(group_of_image)));
    Ok(user)
}

fn id(what: &'static str, value: i64) -> Result<u32, SpecError> {
    let id = u32::try_from(value).ok().filter(|id| *id <= crio_security::user::MAX_ID);
    id.ok_or(SpecError::OutOfRange { what, value })
}

fn limits(input: &InfraInput<'_>) -> LinuxResources {
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(Some(CPU_SHARES));
    if !input.cpuset.is_empty() {
        cpu.set_cpus(Some(input.cpuset.to_owned()));
    }
    let mut limits = LinuxResources::default();
    limits.set_cpu(Some(cpu)).set_devices(Some(resources::device_rules(&[], false)));
    limits
}
