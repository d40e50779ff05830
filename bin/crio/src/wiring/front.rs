//! What the front tells about the daemon: versions, the configuration in force, where things are.

use std::sync::Arc;

use axum::Router;
use crio_config::{CgroupManager, Config};
use crio_cri_server::{PodEvents, Services};
use crio_inspect::{CgroupDriver, Inspected};
use crio_streaming::Urls;
use tokio::sync::watch;

use super::Node;

/// Keeps what the front tells up to date.
#[derive(Debug)]
pub struct Front {
    services: watch::Sender<Arc<crio_cri_server::Settings>>,
    inspect: watch::Sender<Arc<crio_inspect::Settings>>,
}

impl Front {
    /// gRPC and the inspection interface on one router, and the handle that changes what they tell.
    pub fn new(node: &Node, streaming: Urls, config: &Config) -> (Self, Router) {
        let front = Self {
            services: watch::Sender::new(Arc::new(service_settings(config))),
            inspect: watch::Sender::new(Arc::new(inspect_settings(config))),
        };
        let services = Services {
            pods: node.pods.clone(),
            images: node.images.clone(),
            streaming,
            settings: front.services.subscribe(),
        };
        let inspected =
            Inspected { pods: node.pods.clone(), images: node.images.clone(), settings: front.inspect.subscribe() };
        let limits = crio_cri_server::Config {
            max_receive_bytes: config.api.grpc_max_recv_msg_size,
            max_send_bytes: config.api.grpc_max_send_msg_size,
        };
        let router = crio_cri_server::service(&services, limits).merge(crio_inspect::router(inspected));
        (front, router)
    }

    /// Tells of another configuration from now on.
    pub fn update(&self, config: &Config) {
        self.services.send_replace(Arc::new(service_settings(config)));
        self.inspect.send_replace(Arc::new(inspect_settings(config)));
    }
}

fn service_settings(config: &Config) -> crio_cri_server::Settings {
    crio_cri_server::Settings {
        runtime_version: env!("CARGO_PKG_VERSION").to_owned(),
        sandbox_image: config.image.pause_image.clone(),
        runtime_config: runtime_config(config),
        pod_events: if config.runtime.enable_pod_events { PodEvents::Enabled } else { PodEvents::Disabled },
    }
}

/// The `[crio.runtime]` table as JSON, for the verbose status. It holds no secrets.
fn runtime_config(config: &Config) -> serde_json::Value {
    let whole: toml::Table = config.to_toml().parse().unwrap_or_default();
    let runtime = whole.get("crio").and_then(|crio| crio.get("runtime"));
    runtime.and_then(|runtime| serde_json::to_value(runtime).ok()).unwrap_or_default()
}

fn inspect_settings(config: &Config) -> crio_inspect::Settings {
    crio_inspect::Settings {
        storage_driver: "overlay".to_owned(),
        storage_root: config.storage.root.display().to_string(),
        storage_image: String::new(),
        cgroup_driver: match config.runtime.cgroup_manager {
            CgroupManager::Systemd => CgroupDriver::Systemd,
            CgroupManager::Cgroupfs => CgroupDriver::Cgroupfs,
        },
        uid_mappings: Vec::new(),
        gid_mappings: Vec::new(),
        config_toml: config.to_toml(),
    }
}
