//! About the daemon itself: version, health, handlers, features.
//!
//! Clients depend on the exact words here. `0.1.0` and `v1` are the only versions kubelet knows; the runtime name
//! becomes the prefix of container ids in the API server; kubeadm reads `sandboxImage` out of the verbose status.

use std::collections::BTreeMap;

use crio_cri_api::v1;
use tonic::Request;

use crate::call::Answer;
use crate::{Services, Settings};

const KUBELET_API_VERSION: &str = "0.1.0";
const RUNTIME_NAME: &str = "cri-o";
const RUNTIME_API_VERSION: &str = "v1";

pub(crate) fn version(services: &Services, _request: Request<v1::VersionRequest>) -> Answer<v1::VersionResponse> {
    Ok(v1::VersionResponse {
        version: KUBELET_API_VERSION.to_owned(),
        runtime_name: RUNTIME_NAME.to_owned(),
        runtime_version: services.settings().runtime_version.clone(),
        runtime_api_version: RUNTIME_API_VERSION.to_owned(),
    })
}

pub(crate) fn status(services: &Services, request: Request<v1::StatusRequest>) -> Answer<v1::StatusResponse> {
    let conditions = vec![runtime_condition(), network_condition(services.pods.network_readiness())];
    let info = if request.into_inner().verbose { config_info(&services.settings()) } else { BTreeMap::new() };
    Ok(v1::StatusResponse {
        status: Some(v1::RuntimeStatus { conditions }),
        info,
        runtime_handlers: handlers(services),
        features: Some(v1::RuntimeFeatures {
            supplemental_groups_policy: true,
            user_namespaces_host_network: false,
            mount_options: true,
        }),
    })
}

fn runtime_condition() -> v1::RuntimeCondition {
    v1::RuntimeCondition { r#type: "RuntimeReady".to_owned(), status: true, ..Default::default() }
}

fn network_condition(readiness: Result<(), String>) -> v1::RuntimeCondition {
    let r#type = "NetworkReady".to_owned();
    match readiness {
        Ok(()) => v1::RuntimeCondition { r#type, status: true, ..Default::default() },
        Err(message) => {
            v1::RuntimeCondition { r#type, status: false, reason: "NetworkPluginNotReady".to_owned(), message }
        }
    }
}

/// One entry for each handler, and the default one again under the empty name, by which pods without a runtime class
/// ask for it.
fn handlers(services: &Services) -> Vec<v1::RuntimeHandler> {
    let configured = services.pods.runtime_handlers();
    let default = services.pods.default_handler();
    let unnamed = configured.iter().filter(|handler| handler.name == default).map(|handler| (String::new(), handler));
    let named = configured.iter().map(|handler| (handler.name.clone(), handler));
    let encode = |(name, handler): (String, &crio_pods::HandlerInfo)| v1::RuntimeHandler {
        name,
        features: Some(v1::RuntimeHandlerFeatures {
            recursive_read_only_mounts: handler.recursive_read_only_mounts,
            user_namespaces: handler.user_namespaces,
        }),
    };
    unnamed.chain(named).map(encode).collect()
}

fn config_info(settings: &Settings) -> BTreeMap<String, String> {
    let config = serde_json::json!({
        "sandboxImage": settings.sandbox_image,
        "crio": settings.runtime_config,
    });
    BTreeMap::from([("config".to_owned(), config.to_string())])
}

pub(crate) fn config(
    services: &Services,
    _request: Request<v1::RuntimeConfigRequest>,
) -> Answer<v1::RuntimeConfigResponse> {
    let driver =
        if services.pods.uses_systemd_cgroups() { v1::CgroupDriver::Systemd } else { v1::CgroupDriver::Cgroupfs };
    Ok(v1::RuntimeConfigResponse { linux: Some(v1::LinuxRuntimeConfiguration { cgroup_driver: driver.into() }) })
}

/// The pod address range of the node: the CNI configuration decides about addresses, so there is nothing to do.
pub(crate) fn update_config(
    _services: &Services,
    request: Request<v1::UpdateRuntimeConfigRequest>,
) -> Answer<v1::UpdateRuntimeConfigResponse> {
    let network = request.into_inner().runtime_config.and_then(|config| config.network_config);
    tracing::debug!(
        pod_cidr = network.map(|network| network.pod_cidr),
        "pod address range left to the network plugins"
    );
    Ok(v1::UpdateRuntimeConfigResponse {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_is_not_ready_says_why() {
        let condition = network_condition(Err("no configuration in /etc/cni/net.d".to_owned()));
        assert_eq!((condition.r#type.as_str(), condition.status), ("NetworkReady", false));
        assert_eq!(condition.reason, "NetworkPluginNotReady");
        assert_eq!(condition.message, "no configuration in /etc/cni/net.d");
        assert!(network_condition(Ok(())).status);
    }

    #[test]
    fn kubeadm_finds_the_sandbox_image() {
        let settings = Settings {
            sandbox_image: "registry.k8s.io/pause:3.10".to_owned(),
            runtime_config: serde_json::json!({"root": "/var/lib/containers/storage"}),
            ..Settings::default()
        };
        let info = config_info(&settings);
        let config: serde_json::Value = serde_json::from_str(&info["config"]).expect("JSON");
        assert_eq!(config["sandboxImage"], "registry.k8s.io/pause:3.10");
        assert_eq!(config["crio"]["root"], "/var/lib/containers/storage");
    }
}
