//! The engines that need no more than a copy of some options: cgroups, network, storage, statistics.

use std::path::PathBuf;

use anyhow::{Context, Result};
use crio_config::{CgroupManager, Config};
use tracing::warn;

/// Where the result cache of CNI is, beside other users of libcni.
const CNI_CACHE: &str = "/var/lib/cni";

/// `cgroup_manager`.
pub fn cgroups(config: &Config) -> crio_cgroups::Config {
    let driver = match config.runtime.cgroup_manager {
        CgroupManager::Systemd => crio_cgroups::Driver::Systemd,
        CgroupManager::Cgroupfs => crio_cgroups::Driver::Cgroupfs,
    };
    crio_cgroups::Config { driver, root: None }
}

/// `[crio.stats]`.
pub fn stats(config: &Config) -> crio_stats::Config {
    crio_stats::Config {
        collection_period: config.stats.collection_period,
        metric_groups: crio_stats::MetricGroups::from_words(&config.stats.included_pod_metrics),
        ..crio_stats::Config::default()
    }
}

/// `[crio.network]`.
pub fn network(config: &Config) -> crio_network::Config {
    let network = &config.network;
    let mut plugin_dirs = network.plugin_dirs.clone();
    plugin_dirs.extend(network.plugin_dir.clone());
    crio_network::Config {
        config_dir: network.network_dir.clone(),
        plugin_dirs,
        default_network: network.cni_default_network.clone(),
        cache_dir: PathBuf::from(CNI_CACHE),
        disable_hostport_mapping: config.runtime.disable_hostport_mapping,
        ..crio_network::Config::default()
    }
}

/// `[crio]`, with the options of the overlay driver; those of other drivers are passed over with a warning.
pub fn storage(config: &Config) -> Result<crio_storage::Config> {
    let storage = &config.storage;
    let mut engine = crio_storage::Config::new(&storage.root, &storage.runroot);
    for option in &storage.storage_option {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name.trim_start_matches("overlay.").trim_start_matches("overlay2.") {
            "mountopt" => engine.mount_options = value.split(',').map(|part| part.trim().to_owned()).collect(),
            "ignore_chown_errors" => {
                engine.ignore_chown_errors = value
                    .parse()
                    .with_context(|| format!("crio.storage_option {option:?}: true or false is expected"))?;
            }
            _ => warn!(option, "this storage option has no effect"),
        }
    }
    Ok(engine)
}
