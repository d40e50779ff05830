//! A container: a row of `containers.json` or `volatile-containers.json`.

use crio_types::{ContainerId, IdMapping, ImageId, LayerId, Timestamp};
use serde_json::{Value, json};

use super::{moment, moment_text, optional_text, text, texts};
use crate::index::{Object, Row};

/// Flag that names the boot a container belongs to.
const BOOT_ID: &str = "BootID";

/// A container of the store, ours or another program's.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerRecord {
    /// Id.
    pub id: ContainerId,
    /// Names, unique among containers.
    pub names: Vec<String>,
    /// The image it was made from.
    pub image: Option<ImageId>,
    /// Its read-write layer.
    pub layer: LayerId,
    /// Text of the program that made it; CRI-O keeps JSON there.
    pub metadata: String,
    /// When it was made.
    pub created: Timestamp,
    /// SELinux label of its mount; empty for none.
    pub mount_label: String,
    /// Its record does not survive a reboot, and its root file system is mounted so.
    pub is_volatile: bool,
    /// The boot in which this program made it; other programs do not say.
    pub boot_id: Option<String>,
}

impl Row for ContainerRecord {
    fn from_object(object: &Object) -> Option<Self> {
        let flag = |key: &str| object.get("flags").and_then(|flags| flags.get(key));
        Some(Self {
            id: text(object, "id").parse().ok()?,
            names: texts(object, "names"),
            image: optional_text(object, "image").map(|image| image.parse()).transpose().ok()?,
            layer: text(object, "layer").parse().ok()?,
            metadata: text(object, "metadata"),
            created: moment(object, "created"),
            mount_label: flag("MountLabel").and_then(Value::as_str).unwrap_or_default().to_owned(),
            is_volatile: flag("Volatile") == Some(&Value::Bool(true)),
            boot_id: flag(BOOT_ID).and_then(Value::as_str).map(str::to_owned),
        })
    }

    fn key(&self) -> &str {
        self.id.as_str()
    }
}

/// The object of a new container. `uids` and `gids` map the ids of its user namespace; empty without one.
pub(crate) fn container_object(container: &ContainerRecord, uids: &[IdMapping], gids: &[IdMapping]) -> Object {
    let mut object = Object::new();
    object.insert("id".into(), container.id.as_str().into());
    if !container.names.is_empty() {
        object.insert("names".into(), json!(container.names));
    }
    object.insert("image".into(), container.image.as_ref().map_or("", ImageId::as_str).into());
    object.insert("layer".into(), container.layer.as_str().into());
    if !container.metadata.is_empty() {
        object.insert("metadata".into(), container.metadata.as_str().into());
    }
    object.insert("created".into(), moment_text(container.created));
    for (key, mappings) in [("uidmap", uids), ("gidmap", gids)] {
        if !mappings.is_empty() {
            let list = mappings.iter().map(|mapping| {
                json!({"container_id": mapping.container_id, "host_id": mapping.host_id, "size": mapping.length})
            });
            object.insert(key.into(), list.collect());
        }
    }
    let mut flags = json!({"MountLabel": container.mount_label, "ProcessLabel": ""});
    if container.is_volatile {
        flags["Volatile"] = true.into();
    }
    if let Some(boot) = &container.boot_id {
        flags[BOOT_ID] = boot.as_str().into();
    }
    object.insert("flags".into(), flags);
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let container = ContainerRecord {
            id: ContainerId::from_bytes([1; 32]),
            names: vec!["k8s_a_b_c_d_0".into()],
            image: None,
            layer: LayerId::from_bytes([2; 32]),
            metadata: "{}".into(),
            created: Timestamp(1_700_000_000_000_000_000),
            mount_label: "m".into(),
            is_volatile: true,
            boot_id: Some("boot".into()),
        };
        let mapping = IdMapping { host_id: 100_000, container_id: 0, length: 65_536 };
        let object = container_object(&container, &[mapping], &[]);
        assert_eq!(object["uidmap"], json!([{"container_id": 0, "host_id": 100_000, "size": 65_536}]));
        assert_eq!(object["image"], "");
        assert_eq!(ContainerRecord::from_object(&object).unwrap(), container);
    }
}
