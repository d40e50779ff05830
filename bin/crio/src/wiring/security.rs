//! Confinement: seccomp and AppArmor profiles, default capabilities.

use std::path::PathBuf;

use anyhow::{Context, Result};
use crio_config::Config;
use crio_security::{HostSecurity, Security};

/// Reads the configured profiles and looks at what the host can enforce.
pub fn security(config: &Config) -> Result<Security> {
    let runtime = &config.runtime;
    let of_handlers = config.runtimes.iter().filter_map(|(name, handler)| {
        let profile = handler.seccomp_profile.as_ref().filter(|profile| !profile.is_empty())?;
        Some((name.clone(), PathBuf::from(profile)))
    });
    let host = HostSecurity::detect().context("cannot find out what the host enforces")?;
    let settings = crio_security::Config {
        default_capabilities: runtime.default_capabilities.clone(),
        seccomp_profile: runtime.seccomp_profile.as_ref().map(PathBuf::from),
        handler_seccomp_profiles: of_handlers.collect(),
        privileged_seccomp_profile: runtime.privileged_seccomp_profile.as_ref().map(PathBuf::from),
        apparmor_profile: runtime.apparmor_profile.clone(),
        label_host_network: !runtime.hostnetwork_disable_selinux,
    };
    Ok(Security::load(&settings, host)?)
}
