//! `[crio.nri]` and `[crio.nri.default_validator]`: the node resource interface.

use std::path::PathBuf;
use std::time::Duration;

use super::{option, section};
use crate::codec::{AnyPath, GoDuration, List, Optional, Regular, Switch};

section! {
    /// `[crio.nri]`.
    Nri {
        /// Whether plugins may change containers.
        enable_nri: bool as Switch = true => option().flag("enable-nri").accepted();
        /// Socket that plugins connect to.
        nri_listen: PathBuf as AnyPath = "/var/run/nri/nri.sock".into() => option().flag("nri-listen").accepted();
        /// Directory of plugins that are started with the daemon.
        nri_plugin_dir: PathBuf as AnyPath = "/opt/nri/plugins".into() => option().flag("nri-plugin-dir").accepted();
        /// Directory of those plugins' configurations.
        nri_plugin_config_dir: PathBuf as AnyPath = "/etc/nri/conf.d".into() => option().flag("nri-plugin-config-dir").accepted();
        /// Whether plugins can not connect from outside.
        nri_disable_connections: bool as Switch = false => option().flag("nri-disable-connections").accepted();
        /// How long a plugin may take to register.
        nri_plugin_registration_timeout: Duration as GoDuration = Duration::from_secs(5)
            => option().flag("nri-plugin-registration-timeout").accepted();
        /// How long a plugin may take to answer.
        nri_plugin_request_timeout: Duration as GoDuration = Duration::from_secs(2)
            => option().flag("nri-plugin-request-timeout").accepted();
    }
}

section! {
    /// `[crio.nri.default_validator]`: adjustments by plugins that are refused.
    NriValidator {
        /// Whether the validator runs.
        nri_enable_default_validator: bool as Switch = false
            => option().flag("nri-enable-default-validator").accepted();
        /// Refuse OCI hooks.
        nri_validator_reject_oci_hook_adjustment: bool as Switch = false
            => option().flag("nri-validator-reject-oci-hook-adjustment").accepted();
        /// Refuse changes of the runtime's default seccomp profile.
        nri_validator_reject_runtime_default_seccomp_adjustment: bool as Switch = false
            => option().flag("nri-validator-reject-runtime-default-seccomp-adjustment").accepted();
        /// Refuse changes of an unconfined seccomp profile.
        nri_validator_reject_unconfined_seccomp_adjustment: bool as Switch = false
            => option().flag("nri-validator-reject-unconfined-seccomp-adjustment").accepted();
        /// Refuse changes of a custom seccomp profile.
        nri_validator_reject_custom_seccomp_adjustment: bool as Switch = false
            => option().flag("nri-validator-reject-custom-seccomp-adjustment").accepted();
        /// Refuse changes of namespaces.
        nri_validator_reject_namespace_adjustment: bool as Switch = false
            => option().flag("nri-validator-reject-namespace-adjustment").accepted();
        /// Plugins that have to see every container.
        nri_validator_required_plugins: Vec<String> as List<Regular> = Vec::new()
            => option().flag("nri-validator-required-plugins").accepted();
        /// Annotation that excuses a pod from them.
        nri_validator_tolerate_missing_plugins_annotation: Option<String> as Optional<Regular> = None
            => option().flag("nri-validator-tolerate-missing-plugins-annotation").accepted();
    }
}
