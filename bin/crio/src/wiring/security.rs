//! Confinement: seccomp and AppArmor profiles, default capabilities.

use std::path::PathBuf;

use anyhow::{Context, Result};
use crio_config::Config;
use crio_security::{HostSecurity, Security};

/// Reads the configured profiles and looks at what the host can enforce.
pub fn security(config: &Config) -> Result<Security> {
    let runtime = &config.runtime;
    let host = HostSecurity::detect().context("cannot find out what the host enforces")?;
    let settings = crio_security::Config {
        default_capabilities: runtime.default_capabilities.clone(),
        seccomp_profile: runtime.seccomp_profile.as_ref().map(PathBuf::from),
        privileged_seccomp_profile: runtime.privileged_seccomp_profile.as_ref().map(PathBuf::from),
        apparmor_profile: runtime.apparmor_profile.clone(),
    };
    Ok(Security::load(&settings, host)?)
}
