//! Runtime handlers: `[crio.runtime.runtimes]` and the place of the monitor.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use crio_config::{CgroupManager, Config, RuntimeHandler, RuntimeType};
use crio_runtime::{HandlerConfig, HandlerKind};

/// The monitor's program, looked for beside the daemon's own first.
const MONITOR: &str = "crio-conmon";
/// Where packages put it.
const MONITOR_DIRECTORIES: [&str; 3] = ["/usr/libexec/crio", "/usr/bin", "/usr/local/bin"];

/// The handlers, and how their monitors start.
pub fn runtimes(config: &Config) -> Result<crio_runtime::Config> {
    let handlers: BTreeMap<String, HandlerConfig> =
        config.runtimes.iter().map(|(name, configured)| (name.clone(), handler(config, configured))).collect();
    Ok(crio_runtime::Config {
        handlers,
        default_handler: config.runtime.default_runtime.clone(),
        monitor_binary: monitor_binary()?,
        exits_directory: config.runtime.container_exits_dir.clone(),
        systemd_cgroup: config.runtime.cgroup_manager == CgroupManager::Systemd,
    })
}

fn handler(config: &Config, configured: &RuntimeHandler) -> HandlerConfig {
    let inherited = if configured.inherit_default_runtime { config.default_handler() } else { None };
    let program = inherited.unwrap_or(configured);
    // A default handler without a path is found by its own name, not by that of who inherits from it.
    let of_default = inherited.map(|_| PathBuf::from(&config.runtime.default_runtime));
    HandlerConfig {
        path: program.runtime_path.clone().or(of_default),
        root: program.runtime_root.clone(),
        kind: match program.runtime_type {
            Some(RuntimeType::Vm) => HandlerKind::Vm,
            _ => HandlerKind::Oci,
        },
        allowed_annotations: configured.allowed_annotations.clone(),
        default_annotations: configured.default_annotations.clone(),
        privileged_without_host_devices: configured.privileged_without_host_devices,
        container_min_memory_bytes: configured.container_min_memory,
        create_timeout: configured.container_create_timeout,
        monitor_cgroup: monitor_cgroup(config, configured),
        monitor_environment: monitor_environment(config, configured),
    }
}

/// The handler's own, else what is usual under the cgroup manager.
fn monitor_cgroup(config: &Config, configured: &RuntimeHandler) -> String {
    configured.effective_monitor_cgroup(config.runtime.cgroup_manager).unwrap_or_default().to_owned()
}

/// The handler's own, else the deprecated `conmon_env`. It reaches the runtime, and what that runs.
fn monitor_environment(config: &Config, configured: &RuntimeHandler) -> Vec<String> {
    let own = &configured.monitor_env;
    let chosen = if own.is_empty() { &config.runtime.conmon_env } else { own };
    chosen.iter().map(|assignment| format!("{}={}", assignment.name, assignment.value)).collect()
}

fn monitor_binary() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find the daemon's own program")?;
    let beside = own.parent().map(|directory| directory.join(MONITOR));
    let packaged = MONITOR_DIRECTORIES.iter().map(|directory| PathBuf::from(directory).join(MONITOR));
    let mut places = beside.into_iter().chain(packaged);
    places.find(|path| path.is_file()).with_context(|| {
        format!("{MONITOR} is neither beside {} nor in {}", own.display(), MONITOR_DIRECTORIES.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitors_leave_the_daemons_unit_under_systemd() {
        let cases = [
            (CgroupManager::Systemd, None, "system.slice"),
            (CgroupManager::Systemd, Some("pod"), "pod"),
            (CgroupManager::Systemd, Some("monitors.slice"), "monitors.slice"),
            (CgroupManager::Cgroupfs, None, ""),
            (CgroupManager::Cgroupfs, Some("pod"), "pod"),
        ];
        for (manager, configured, expected) in cases {
            let mut config = Config::default();
            config.runtime.cgroup_manager = manager;
            let handler =
                RuntimeHandler { monitor_cgroup: configured.map(str::to_owned), ..RuntimeHandler::builtin_crun() };
            assert_eq!(monitor_cgroup(&config, &handler), expected, "{manager:?} {configured:?}");
        }
    }
}
