//! `/containers/{id}`: a container or a sandbox, as cAdvisor wants it.
//!
//! A process id of 0 means *not yet*, and cAdvisor asks again. `root` ends in `/merged`; cAdvisor replaces that by
//! `/diff` and measures what it finds.

use std::net::IpAddr;

use crio_pods::Inspection;
use crio_types::Labels;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Container {
    name: String,
    pid: u32,
    image: String,
    image_ref: String,
    /// Nanoseconds since the Unix epoch.
    created_time: i64,
    labels: Labels,
    annotations: Labels,
    crio_annotations: Labels,
    log_path: String,
    root: String,
    sandbox: String,
    ip_addresses: Vec<IpAddr>,
    host_network: bool,
}

impl Container {
    pub(crate) fn of(found: Inspection) -> Self {
        Self {
            name: found.name,
            pid: found.pid,
            image: found.image,
            image_ref: found.image_ref,
            created_time: found.created_at.0,
            labels: found.labels,
            annotations: found.annotations,
            crio_annotations: found.crio_annotations,
            log_path: found.log_path,
            root: found.root,
            sandbox: found.sandbox,
            ip_addresses: found.ip_addresses,
            host_network: found.host_network,
        }
    }
}

#[cfg(test)]
mod tests {
    use crio_types::Timestamp;

    use super::*;

    #[test]
    fn cadvisor_finds_its_fields() {
        let labels: Labels = [("io.kubernetes.container.name".to_owned(), "nginx".to_owned())].into();
        let found = Inspection {
            name: "k8s_nginx_web_shop_uid_0".to_owned(),
            pid: 42,
            image: "docker.io/library/nginx:1".to_owned(),
            image_ref: "docker.io/library/nginx@sha256:00".to_owned(),
            created_at: Timestamp(1_700_000_000_000_000_000),
            labels,
            annotations: Labels::new(),
            crio_annotations: Labels::new(),
            log_path: "/var/log/pods/p/nginx/0.log".to_owned(),
            root: "/var/lib/containers/storage/overlay/abc/merged".to_owned(),
            sandbox: "s".repeat(64),
            ip_addresses: vec!["10.85.0.7".parse().expect("address"), "fd00::7".parse().expect("address")],
            host_network: false,
        };
        let shown = serde_json::to_value(Container::of(found)).expect("plain data");
        let expected = serde_json::json!({
            "name": "k8s_nginx_web_shop_uid_0",
            "pid": 42,
            "image": "docker.io/library/nginx:1",
            "image_ref": "docker.io/library/nginx@sha256:00",
            "created_time": 1_700_000_000_000_000_000_i64,
            "labels": {"io.kubernetes.container.name": "nginx"},
            "annotations": {},
            "crio_annotations": {},
            "log_path": "/var/log/pods/p/nginx/0.log",
            "root": "/var/lib/containers/storage/overlay/abc/merged",
            "sandbox": "s".repeat(64),
            "ip_addresses": ["10.85.0.7", "fd00::7"],
            "host_network": false,
        });
        assert_eq!(shown, expected);
    }
}
