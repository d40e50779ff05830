//! Settings of the network engine.

use std::path::PathBuf;
use std::time::Duration;

/// Deadline of a whole ADD, all plugins of the chain together.
const ADD_TIMEOUT: Duration = Duration::from_secs(90);
/// Deadline of each plugin's DEL.
const DEL_TIMEOUT: Duration = Duration::from_secs(60);

/// What the network engine needs to know. The default is CRI-O's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Directory of CNI configuration (`network_dir`); made when missing.
    pub config_dir: PathBuf,
    /// Directories of plugins, the first hit counts (`plugin_dirs`).
    pub plugin_dirs: Vec<PathBuf>,
    /// Network to use, by name; `None` for the first in the directory (`cni_default_network`).
    pub default_network: Option<String>,
    /// libcni's cache directory; results are in its `results` subdirectory.
    pub cache_dir: PathBuf,
    /// Keep no host ports: plugins with the `portMappings` capability get them instead.
    pub disable_hostport_mapping: bool,
    /// Name of our nftables table. Two daemons in one network namespace need two names.
    pub hostport_table: String,
    /// Deadline of a whole ADD, all plugins of the chain together.
    pub add_timeout: Duration,
    /// Deadline of each plugin's DEL.
    pub del_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            config_dir: "/etc/cni/net.d".into(),
            plugin_dirs: vec!["/opt/cni/bin".into()],
            default_network: None,
            cache_dir: "/var/lib/cni".into(),
            disable_hostport_mapping: false,
            hostport_table: "crio_hostports".to_owned(),
            add_timeout: ADD_TIMEOUT,
            del_timeout: DEL_TIMEOUT,
        }
    }
}
