//! `/info`: where images and containers are, and who manages cgroups.

use crio_types::IdMapping;
use serde::Serialize;

/// Who manages cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupDriver {
    /// systemd, over D-Bus.
    #[default]
    Systemd,
    /// We, in the cgroup file system.
    Cgroupfs,
}

/// What the routes tell about the daemon. A reload replaces it whole.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Storage driver; cAdvisor measures file systems only for `overlay`.
    pub storage_driver: String,
    /// Where containers, and normally images, are stored.
    pub storage_root: String,
    /// Where images are stored when it is another place; empty otherwise.
    pub storage_image: String,
    /// Who manages cgroups.
    pub cgroup_driver: CgroupDriver,
    /// Uid mappings that containers get by default; empty for none.
    pub uid_mappings: Vec<IdMapping>,
    /// Gid mappings that containers get by default; empty for none.
    pub gid_mappings: Vec<IdMapping>,
    /// The configuration in force, as TOML.
    pub config_toml: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Info {
    storage_driver: String,
    storage_image: String,
    storage_root: String,
    cgroup_driver: CgroupDriver,
    default_id_mappings: IdMappings,
}

#[derive(Debug, Serialize)]
struct IdMappings {
    uids: Vec<Mapping>,
    gids: Vec<Mapping>,
}

#[derive(Debug, Serialize)]
struct Mapping {
    container_id: u32,
    host_id: u32,
    size: u32,
}

impl Info {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            storage_driver: settings.storage_driver.clone(),
            storage_image: settings.storage_image.clone(),
            storage_root: settings.storage_root.clone(),
            cgroup_driver: settings.cgroup_driver,
            default_id_mappings: IdMappings {
                uids: mappings(&settings.uid_mappings),
                gids: mappings(&settings.gid_mappings),
            },
        }
    }
}

fn mappings(mappings: &[IdMapping]) -> Vec<Mapping> {
    let mapping = |mapping: &IdMapping| Mapping {
        container_id: mapping.container_id,
        host_id: mapping.host_id,
        size: mapping.length,
    };
    mappings.iter().map(mapping).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cadvisor_finds_its_fields() {
        let settings = Settings {
            storage_driver: "overlay".to_owned(),
            storage_root: "/var/lib/containers/storage".to_owned(),
            cgroup_driver: CgroupDriver::Cgroupfs,
            uid_mappings: vec![IdMapping { host_id: 100_000, container_id: 0, length: 65536 }],
            ..Settings::default()
        };
        let info = serde_json::to_value(Info::of(&settings)).expect("plain data");
        let expected = serde_json::json!({
            "storage_driver": "overlay",
            "storage_image": "",
            "storage_root": "/var/lib/containers/storage",
            "cgroup_driver": "cgroupfs",
            "default_id_mappings": {"uids": [{"container_id": 0, "host_id": 100_000, "size": 65536}], "gids": []},
        });
        assert_eq!(info, expected);
    }
}
