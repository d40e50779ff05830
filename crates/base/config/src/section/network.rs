//! `[crio.network]`: where the pod network's configuration and plugins are.

use std::path::PathBuf;
use std::time::Duration;

use super::{option, section};
use crate::codec::{AbsolutePath, AnyPath, GoDuration, List, Optional, Regular};

section! {
    /// `[crio.network]`.
    Network {
        /// Name of the CNI network to use; empty for the first in the directory.
        cni_default_network: Option<String> as Optional<Regular> = None
            => option().flag("cni-default-network").env(&["CONTAINER_CNI_DEFAULT_NETWORK"]);
        /// Directory of CNI configurations, which is watched.
        network_dir: PathBuf as AbsolutePath = "/etc/cni/net.d/".into()
            => option().flag("cni-config-dir").env(&["CONTAINER_CNI_CONFIG_DIR"]);
        /// Directories of CNI plugins.
        plugin_dirs: Vec<PathBuf> as List<AbsolutePath> = vec!["/opt/cni/bin/".into()]
            => option().flag("cni-plugin-dir").env(&["CONTAINER_CNI_PLUGIN_DIR"]);
        /// One more directory of CNI plugins.
        plugin_dir: Option<PathBuf> as Optional<AnyPath> = None
            => option().hidden().deprecated("use plugin_dirs");
        /// How long the network may report trouble before the node is not ready; 0s looks only until it was ready once.
        cni_status_grace_period: Duration as GoDuration = Duration::ZERO
            => option().flag("cni-status-grace-period").env(&["CNI_STATUS_GRACE_PERIOD"]).accepted();
    }
}
