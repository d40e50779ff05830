//! Which namespaces a container makes, joins or shares with the host.
//!
//! A namespace that is not listed is the host's. The mount namespace is always new; a cgroup namespace is new on
//! cgroup v2 except for privileged containers, as CRI-O does.

use std::path::PathBuf;

use crio_types::{IdMapping, NamespaceMode};
use oci_spec::runtime::{LinuxIdMapping, LinuxIdMappingBuilder, LinuxNamespace, LinuxNamespaceType};

use crate::{CgroupVersion, SandboxFacts, SpecError};

/// The namespaces of a container of this pod.
pub(crate) fn of_container(
    sandbox: &SandboxFacts<'_>,
    modes: &crio_types::NamespaceOptions,
    cgroup: CgroupNamespace,
) -> Result<Vec<LinuxNamespace>, SpecError> {
    let mut list = vec![new(LinuxNamespaceType::Mount)];
    list.extend(pid(sandbox, &modes.pid)?);
    list.extend(of_pod(sandbox, modes));
    if cgroup == CgroupNamespace::New {
        list.push(new(LinuxNamespaceType::Cgroup));
    }
    Ok(list)
}

/// The namespaces of the pause container: the pod's, and a PID namespace that the pod's containers will join.
pub(crate) fn of_infra(sandbox: &SandboxFacts<'_>, cgroup: CgroupNamespace) -> Vec<LinuxNamespace> {
    let modes = &sandbox.config.security.namespaces;
    let mut list = vec![new(LinuxNamespaceType::Mount)];
    if modes.pid != NamespaceMode::Node {
        list.push(new(LinuxNamespaceType::Pid));
    }
    list.extend(of_pod(sandbox, modes));
    if cgroup == CgroupNamespace::New {
        list.push(new(LinuxNamespaceType::Cgroup));
    }
    list
}

/// Whether a container has a cgroup namespace of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CgroupNamespace {
    Host,
    New,
}

impl CgroupNamespace {
    pub(crate) fn of(version: CgroupVersion, privileged: bool) -> Self {
        if version == CgroupVersion::V2 && !privileged { Self::New } else { Self::Host }
    }
}

/// Whether the list gives the container a host name of its own.
pub(crate) fn has_uts(list: &[LinuxNamespace]) -> bool {
    list.iter().any(|namespace| namespace.typ() == LinuxNamespaceType::Uts)
}

/// Id mappings as the OCI writes them.
pub(crate) fn mappings(mappings: &[IdMapping]) -> Vec<LinuxIdMapping> {
    let one = |mapping: &IdMapping| {
        LinuxIdMappingBuilder::default()
            .host_id(mapping.host_id)
            .container_id(mapping.container_id)
            .size(mapping.length)
            .build()
            .expect("every field has a default")
    };
    mappings.iter().map(one).collect()
}

fn pid(sandbox: &SandboxFacts<'_>, mode: &NamespaceMode) -> Result<Option<LinuxNamespace>, SpecError> {
    let missing = SpecError::MissingNamespace { what: "PID" };
    match mode {
        NamespaceMode::Node => Ok(None),
        NamespaceMode::Container => Ok(Some(new(LinuxNamespaceType::Pid))),
        NamespaceMode::Pod => {
            let path = sandbox.namespaces.pid.clone().ok_or(missing)?;
            Ok(Some(joined(LinuxNamespaceType::Pid, path)))
        }
        NamespaceMode::Target(_) => {
            let path = sandbox.target_pid_namespace.ok_or(missing)?;
            Ok(Some(joined(LinuxNamespaceType::Pid, path.to_owned())))
        }
    }
}

fn of_pod(sandbox: &SandboxFacts<'_>, modes: &crio_types::NamespaceOptions) -> Vec<LinuxNamespace> {
    let pinned = sandbox.namespaces;
    let unless_node =
        |mode: &NamespaceMode, path: &Option<PathBuf>| path.clone().filter(|_| *mode != NamespaceMode::Node);
    let network = unless_node(&modes.network, &pinned.network).map(|path| joined(LinuxNamespaceType::Network, path));
    let ipc = unless_node(&modes.ipc, &pinned.ipc).map(|path| joined(LinuxNamespaceType::Ipc, path));
    let uts = pinned.uts.clone().map(|path| joined(LinuxNamespaceType::Uts, path));
    let user = pinned.user.clone().map(|path| joined(LinuxNamespaceType::User, path));
    [network, ipc, uts, user].into_iter().flatten().collect()
}

fn new(kind: LinuxNamespaceType) -> LinuxNamespace {
    let mut namespace = LinuxNamespace::default();
    namespace.set_typ(kind);
    namespace
}

fn joined(kind: LinuxNamespaceType, path: PathBuf) -> LinuxNamespace {
    let mut namespace = new(kind);
    namespace.set_path(Some(path));
    namespace
}
