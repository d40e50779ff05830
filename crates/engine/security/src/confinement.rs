//! One request's security settings and the host's abilities, turned into what is enforced.
//!
//! Privileged containers get every capability the daemon has and no filter, profile or hidden path, except a seccomp
//! profile that the configuration names for them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crio_types::{ContainerSecurity, NamespaceMode, SandboxId, SandboxSecurity, SecurityProfile, SelinuxOptions};

use crate::capability;
use crate::seccomp::{self, DefaultProfile, Profile, ResolvedSeccomp};
use crate::{CapabilitySet, CapabilitySets, HostSecurity, apparmor, paths, selinux};

mod error;

pub use error::ConfineError;

/// The configuration of this engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Capabilities of containers whose request names none, with or without `CAP_`.
    pub default_capabilities: Vec<String>,
    /// A seccomp profile that replaces the built-in one, or [`UNCONFINED`].
    pub seccomp_profile: Option<PathBuf>,
    /// Seccomp profiles that replace it under a runtime handler, by the handler's name.
    pub handler_seccomp_profiles: BTreeMap<String, PathBuf>,
    /// A seccomp profile for privileged containers; `None` and [`UNCONFINED`] leave them unconfined.
    pub privileged_seccomp_profile: Option<PathBuf>,
    /// The AppArmor profile of containers whose request names none; `unconfined` for none.
    pub apparmor_profile: String,
    /// Give pods with the host's network SELinux labels, too.
    pub label_host_network: bool,
}

/// What stands for no profile where a file could be named.
pub const UNCONFINED: &str = "unconfined";

impl Default for Config {
    fn default() -> Self {
        Self {
            default_capabilities: paths::owned(&capability::DEFAULT),
            seccomp_profile: None,
            handler_seccomp_profiles: BTreeMap::new(),
            privileged_seccomp_profile: None,
            apparmor_profile: apparmor::DEFAULT_PROFILE.to_owned(),
            label_host_network: false,
        }
    }
}

/// What is enforced on a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confinement {
    /// Everything allowed, nothing hidden.
    pub privileged: bool,
    /// Capabilities.
    pub capabilities: CapabilitySets,
    /// Processes cannot gain privileges.
    pub no_new_privileges: bool,
    /// System call filter.
    pub seccomp: ResolvedSeccomp,
    /// AppArmor profile; `None` is unconfined.
    pub apparmor: Option<String>,
    /// SELinux labels; `None` where SELinux is off or the container shares the host's namespaces.
    pub selinux: Option<selinux::Labels>,
    /// Paths hidden from the container.
    pub masked_paths: Vec<String>,
    /// Paths it may only read.
    pub readonly_paths: Vec<String>,
}

/// The pod a container belongs to, as far as its confinement goes.
#[derive(Debug, Clone, Copy)]
pub struct PodContext<'a> {
    /// Id, which the pod's SELinux categories are made of; `None` gives it none.
    pub id: Option<&'a SandboxId>,
    /// The pod's own settings.
    pub security: &'a SandboxSecurity,
    /// The runtime handler, which may have a seccomp profile of its own.
    pub handler: &'a str,
}

/// The security engine: configuration and host in one immutable value, replaced as a whole on a reload.
#[derive(Debug, Clone)]
pub struct Security {
    host: HostSecurity,
    default_capabilities: CapabilitySet,
    default_profile: DefaultProfile,
    handler_profiles: BTreeMap<String, DefaultProfile>,
    privileged_profile: Option<(PathBuf, Profile)>,
    apparmor_profile: String,
    label_host_network: bool,
}

impl Security {
    /// Reads the configured profiles and, where AppArmor is in force, loads the default one into the kernel.
    ///
    /// # Errors
    /// A capability is unknown, or a profile cannot be read, understood or loaded.
    pub fn load(config: &Config, host: HostSecurity) -> Result<Self, ConfineError> {
        let default_capabilities =
            CapabilitySet::parse(&config.default_capabilities).map_err(ConfineError::Capability)?;
        let read = |path: &PathBuf| seccomp::load(path).map_err(ConfineError::Seccomp);
        let is_none = |path: &PathBuf| path.as_os_str() == UNCONFINED;
        let default = |path: &PathBuf| match is_none(path) {
            true => Ok(DefaultProfile::Unconfined),
            false => Ok(DefaultProfile::File(Box::new(read(path)?))),
        };
        let default_profile = config.seccomp_profile.as_ref().map_or(Ok(DefaultProfile::BuiltIn), default)?;
        let mut handler_profiles = BTreeMap::new();
        for (handler, path) in &config.handler_seccomp_profiles {
            handler_profiles.insert(handler.clone(), default(path)?);
        }
        let privileged_profile = match config.privileged_seccomp_profile.as_ref().filter(|path| !is_none(path)) {
            Some(path) => Some((path.clone(), read(path)?)),
            None => None,
        };
        if host.apparmor && config.apparmor_profile == apparmor::DEFAULT_PROFILE {
            apparmor::install_default()
                .map_err(|source| ConfineError::AppArmor { name: config.apparmor_profile.clone(), source })?;
        }
        Ok(Self {
            host,
            default_capabilities,
            default_profile,
            handler_profiles,
            privileged_profile,
            apparmor_profile: config.apparmor_profile.clone(),
            label_host_network: config.label_host_network,
        })
    }

    /// What the host can enforce.
    #[must_use]
    pub fn host(&self) -> &HostSecurity {
        &self.host
    }

    /// What is enforced on a container with these settings. Blocking: reads the node's files when the request names a
    /// profile on it.
    ///
    /// # Errors
    /// A capability is unknown; a named profile cannot be read, understood or enforced.
    pub fn confine_in_pod(
        &self,
        pod: &PodContext<'_>,
        request: &ContainerSecurity,
    ) -> Result<Confinement, ConfineError> {
        if request.privileged {
            return self.privileged(pod, request);
        }
        let capabilities =
            capability::resolve(request.capabilities.as_ref(), self.default_capabilities, self.host.bounding)
                .map_err(ConfineError::Capability)?;
        for path in request.masked_paths.iter().chain(&request.readonly_paths) {
            if !path.starts_with('/') {
                return Err(ConfineError::RelativePath { path: path.clone() });
            }
        }
        Ok(Confinement {
            privileged: false,
            capabilities,
            no_new_privileges: request.no_new_privs,
            seccomp: self.seccomp(pod, request.seccomp.as_ref(), capabilities.bounding)?,
            apparmor: self.apparmor(request.apparmor.as_ref())?,
            selinux: self.selinux(pod, request.selinux.as_ref())?,
            masked_paths: self.masked(&request.masked_paths),
            readonly_paths: request.readonly_paths.clone(),
        })
    }

    /// What is enforced on a pod's pause container: no capability, no new privileges, everything hidden.
    ///
    /// # Errors
    /// A named profile cannot be read, understood or enforced.
    pub fn confine_infra_of(&self, pod: &PodContext<'_>) -> Result<Confinement, ConfineError> {
        let request = pod.security;
        Ok(Confinement {
            privileged: false,
            capabilities: CapabilitySets::default(),
            no_new_privileges: true,
            seccomp: self.seccomp(pod, request.seccomp.as_ref(), CapabilitySet::EMPTY)?,
            apparmor: self.apparmor(request.apparmor.as_ref())?,
            selinux: self.selinux(pod, request.selinux.as_ref())?,
            masked_paths: self.masked(&paths::owned(paths::MASKED)),
            readonly_paths: paths::owned(paths::READONLY),
        })
    }

    fn privileged(&self, pod: &PodContext<'_>, request: &ContainerSecurity) -> Result<Confinement, ConfineError> {
        let capabilities = CapabilitySets::plain(self.host.bounding);
        let seccomp = match &self.privileged_profile {
            Some((path, profile)) if self.host.seccomp => ResolvedSeccomp {
                filter: Some(profile.filter(capabilities.bounding, self.host.kernel)),
                reference: path.display().to_string(),
            },
            _ => ResolvedSeccomp::default(),
        };
        let super_privileged =
            SelinuxOptions { kind: selinux::PRIVILEGED_TYPE.to_owned(), ..request.selinux.clone().unwrap_or_default() };
        Ok(Confinement {
            privileged: true,
            capabilities,
            no_new_privileges: request.no_new_privs,
            seccomp,
            selinux: self.selinux(pod, Some(&super_privileged))?,
            ..Confinement::default()
        })
    }

    fn seccomp(
        &self,
        pod: &PodContext<'_>,
        requested: Option<&SecurityProfile>,
        capabilities: CapabilitySet,
    ) -> Result<ResolvedSeccomp, ConfineError> {
        let default = self.handler_profiles.get(pod.handler).unwrap_or(&self.default_profile);
        seccomp::resolve(requested, default, capabilities, &self.host).map_err(ConfineError::Seccomp)
    }

    fn apparmor(&self, requested: Option<&SecurityProfile>) -> Result<Option<String>, ConfineError> {
        if !self.host.apparmor {
            return Ok(None);
        }
        let Some(name) = apparmor::resolve(requested, &self.apparmor_profile) else {
            return Ok(None);
        };
        match apparmor::is_loaded(&self.host.apparmor_profiles, &name) {
            Ok(true) => Ok(Some(name)),
            Ok(false) => Err(ConfineError::AppArmorNotLoaded { name }),
            Err(source) => Err(ConfineError::AppArmor { name, source }),
        }
    }

    fn selinux(
        &self,
        pod: &PodContext<'_>,
        requested: Option<&SelinuxOptions>,
    ) -> Result<Option<selinux::Labels>, ConfineError> {
        let namespaces = &pod.security.namespaces;
        let shares_host = namespaces.pid == NamespaceMode::Node
            || namespaces.ipc == NamespaceMode::Node
            || (namespaces.network == NamespaceMode::Node && !self.label_host_network);
        if !self.host.selinux || shares_host {
            return Ok(None);
        }
        let options = requested.or(pod.security.selinux.as_ref()).cloned().unwrap_or_default();
        let of_pod = pod.security.selinux.as_ref().map(|options| options.level.clone());
        let level = of_pod
            .filter(|level| !level.is_empty())
            .unwrap_or_else(|| pod.id.map_or_else(|| "s0".to_owned(), selinux::level_of));
        selinux::labels(&options, &level).map(Some).map_err(ConfineError::Selinux)
    }

    /// The paths as requested. A request that hides anything also hides what leaks through on this host and is not in
    /// kubelet's list (CRI-O adds such paths too); one that hides nothing (`procMount: Unmasked`) is left alone.
    fn masked(&self, requested: &[String]) -> Vec<String> {
        let mut masked = requested.to_vec();
        if !masked.is_empty() {
            masked.extend(self.host.leaky_paths.iter().filter(|path| !requested.contains(path)).cloned());
        }
        masked
    }
}

#[cfg(test)]
mod tests;
