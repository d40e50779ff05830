//! The mounts nobody asks for: kernel file systems, the pod's files, scratch space of read-only containers, and what
//! systemd expects when it is the first process.
//!
//! A privileged container gets all of them writable.

use std::path::Path;

use crio_types::NamespaceMode;
use oci_spec::runtime::Mount;

use super::{bind, mount, tmpfs};
use crate::{CgroupVersion, PodFiles, SandboxFacts, SpecInput};

const CGROUP: &str = "/sys/fs/cgroup";
/// The hierarchy of cgroup v1 that systemd keeps its own tree in.
pub(super) const CGROUP_SYSTEMD: &str = "/sys/fs/cgroup/systemd";

/// Whether the container is to be run the way systemd wants it.
pub(crate) fn needs_systemd(arguments: &[String]) -> bool {
    let program = arguments.first().map(String::as_str).unwrap_or_default();
    program.contains("/sbin/init") || Path::new(program).file_name().is_some_and(|name| name == "systemd")
}

/// The default mounts of a container whose request mounts at `taken`.
pub(super) fn of_container(input: &SpecInput<'_>, arguments: &[String], taken: &[&Path]) -> Vec<Mount> {
    let systemd = needs_systemd(arguments);
    let mut list = kernel_file_systems(&input.sandbox, Writable::of(input.confinement.privileged));
    list.push(cgroup(input, systemd));
    if input.defaults.read_only {
        list.extend(scratch());
    }
    if systemd {
        list.extend(for_systemd(input, taken, &list));
    }
    let read_only = input.container.config.security.readonly_rootfs || input.defaults.read_only;
    let writable = Writable::of(input.confinement.privileged || !read_only);
    list.extend(of_pod(input.sandbox.files, writable));
    list.extend(user_files(input, taken));
    list
}

/// The default mounts of the pause container.
pub(crate) fn infra(sandbox: &SandboxFacts<'_>) -> Vec<Mount> {
    let files = PodFiles {
        hostname: sandbox.files.hostname.clone(),
        resolv_conf: sandbox.files.resolv_conf.clone(),
        shm: sandbox.files.shm.clone(),
        ..PodFiles::default()
    };
    let mut list = kernel_file_systems(sandbox, Writable::No);
    list.extend(of_pod(&files, Writable::No));
    list
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writable {
    Yes,
    No,
}

impl Writable {
    fn of(writable: bool) -> Self {
        if writable { Self::Yes } else { Self::No }
    }

    fn option(self) -> &'static str {
        match self {
            Self::Yes => "rw",
            Self::No => "ro",
        }
    }
}

fn kernel_file_systems(sandbox: &SandboxFacts<'_>, writable: Writable) -> Vec<Mount> {
    let kernel =
        |destination: &str, kind: &str, options: &[&str]| mount(Path::new(destination), kind, Path::new(kind), options);
    vec![
        kernel("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        kernel("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        kernel("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        kernel("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        sysfs(sandbox, writable),
    ]
}

/// The kernel lets only the owner of a network namespace mount its sysfs, so a container with a user namespace of its
/// own and the host's network gets the host's as it is.
fn sysfs(sandbox: &SandboxFacts<'_>, writable: Writable) -> Mount {
    let is_host_network = sandbox.config.security.namespaces.network == NamespaceMode::Node;
    let path = Path::new("/sys");
    if is_host_network && sandbox.namespaces.user.is_some() {
        return bind(path, path, &["rbind", "rprivate", "nosuid", "noexec", "nodev", "ro"]);
    }
    mount(path, "sysfs", Path::new("sysfs"), &["nosuid", "noexec", "nodev", writable.option()])
}

fn cgroup(input: &SpecInput<'_>, systemd: bool) -> Mount {
    let is_v2 = input.host.cgroup_version == CgroupVersion::V2;
    let writable = input.confinement.privileged || (is_v2 && (input.defaults.cgroup_writable || systemd));
    let options = ["nosuid", "noexec", "nodev", "relatime", Writable::of(writable).option()];
    mount(Path::new(CGROUP), "cgroup", Path::new("cgroup"), &options)
}

/// Scratch space for containers whose root the configuration makes read-only. `tmpcopyup` is an option of the OCI
/// runtimes, not of the kernel: what the image has there stays visible.
fn scratch() -> Vec<Mount> {
    let of = |path: &str, mode: &str| tmpfs(Path::new(path), &["rw", "noexec", "nosuid", "nodev", "tmpcopyup", mode]);
    vec![of("/run", "mode=0755"), of("/tmp", "mode=1777"), of("/var/tmp", "mode=1777")]
}

/// systemd wants its runtime directories on tmpfs and a cgroup tree of its own to write to.
fn for_systemd(input: &SpecInput<'_>, taken: &[&Path], before: &[Mount]) -> Vec<Mount> {
    let has = |path: &str| before.iter().any(|mount| mount.destination() == Path::new(path));
    let mut list: Vec<Mount> = ["/run", "/run/lock", "/tmp", "/var/log/journal"]
        .into_iter()
        .filter(|path| !has(path))
        .map(|path| {
            let options = ["rw", "rprivate", "noexec", "nosuid", "nodev", "tmpcopyup"];
            tmpfs(Path::new(path), &options)
        })
        .collect();
    let brings_its_own = [CGROUP, "/sys/fs", "/sys"].iter().any(|path| taken.contains(&Path::new(path)));
    if input.host.cgroup_version == CgroupVersion::V1 && !brings_its_own {
        let path = Path::new(CGROUP_SYSTEMD);
        list.push(bind(path, path, &["bind", "nodev", "noexec", "nosuid"]));
    }
    list
}

fn of_pod(files: &PodFiles, writable: Writable) -> Vec<Mount> {
    let option = writable.option();
    let mut list = Vec::new();
    match &files.shm {
        Some(shm) => list.push(bind(Path::new("/dev/shm"), shm, &["bind", "rw"])),
        None => {
            let options = ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"];
            list.push(mount(Path::new("/dev/shm"), "tmpfs", Path::new("shm"), &options));
        }
    }
    if let Some(source) = &files.resolv_conf {
        let options = ["bind", option, "nodev", "nosuid", "noexec"];
        list.push(bind(Path::new("/etc/resolv.conf"), source, &options));
    }
    let plain = [
        ("/etc/hostname", &files.hostname, option),
        ("/run/.containerenv", &files.containerenv, option),
        ("/etc/hosts", &files.hosts, option),
        ("/etc/localtime", &files.localtime, "ro"),
    ];
    for (path, source, option) in plain {
        if let Some(source) = source {
            list.push(bind(Path::new(path), source, &["bind", option]));
        }
    }
    list
}

/// Replacements for the image's own user and group files, unless the request covers those.
fn user_files(input: &SpecInput<'_>, taken: &[&Path]) -> Vec<Mount> {
    if taken.contains(&Path::new("/etc")) {
        return Vec::new();
    }
    let files = [("/etc/passwd", input.container.passwd_path), ("/etc/group", input.container.group_path)];
    files
        .into_iter()
        .filter_map(|(path, source)| Some(bind(Path::new(path), source?, &["bind", "rw", "nodev", "nosuid", "noexec"])))
        .collect()
}
