//! What only flags and environment variables say, never the file.

use std::path::PathBuf;

use super::{option, section};
use crate::codec::{AnyPath, List, Number, Optional, Regular, Switch, Word, words};

words! {
    /// How a line of the daemon's log looks.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

section! {
    /// Settings that have no key in crio.conf.
    Daemon {
        /// File the daemon logs to, instead of standard error.
        log: Option<PathBuf> as Optional<AnyPath> = None => option().flag("log").env(&["CONTAINER_LOG"]);
        /// How a line of the daemon's log looks: text or json.
        log_format: LogFormat as Word = LogFormat::Text
            => option().flag("log-format").env(&["CONTAINER_LOG_FORMAT"]);
        /// File with the registries; empty for /etc/containers/registries.conf.
        registries_conf: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("registries-conf").env(&["CONTAINER_REGISTRIES_CONF"]).hidden();
        /// Directory with more registries; empty for /etc/containers/registries.conf.d.
        registries_conf_dir: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("registries-conf-dir").env(&["CONTAINER_REGISTRIES_CONF_DIR"]).hidden();
        /// Runtime handlers, each as name:path:root:type:privileged_without_host_devices:config_path:min_memory,
        /// the later parts optional.
        runtimes: Vec<String> as List<Regular> = Vec::new()
            => option().flag("runtimes").env(&["CONTAINER_RUNTIMES"]);
        /// Whether a profiling server runs.
        profile: bool as Switch = false => option().flag("profile").env(&["CONTAINER_PROFILE"]).accepted();
        /// File that takes a CPU profile.
        profile_cpu: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("profile-cpu").env(&["CONTAINER_PROFILE_CPU"]).accepted();
        /// File that takes a memory profile.
        profile_mem: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("profile-mem").env(&["CONTAINER_PROFILE_MEM"]).accepted();
        /// Port of the profiling server.
        profile_port: u16 as Number<0, 65_535> = 6060
            => option().flag("profile-port").env(&["CONTAINER_PROFILE_PORT"]).accepted();
        /// Whether the profiling server listens on the CRI socket too.
        enable_profile_unix_socket: bool as Switch = false
            => option().flag("enable-profile-unix-socket").env(&["ENABLE_PROFILE_UNIX_SOCKET"]).accepted();
    }
}
