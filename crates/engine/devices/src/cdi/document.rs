//! One specification: JSON or YAML, read strictly.
//!
//! A field we do not know refuses the whole document, since a device that gets half of what it needs is worse than one
//! that is refused by name. Everything is checked here, so that edits made from a document need no further look.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::name::{NameError, check_device, check_kind};
use crate::{HookPoint, Permissions};

/// The versions that are understood.
const VERSIONS: [&str; 8] = ["0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0"];

/// Why a specification cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is not JSON of the right shape.
    #[error("it is not a CDI specification in JSON")]
    Json(#[source] serde_json::Error),
    /// It is not YAML of the right shape.
    #[error("it is not a CDI specification in YAML: {0}")]
    Yaml(String),
    /// Its version is not one we know.
    #[error("its version {0:?} is not between 0.3.0 and 1.1.0")]
    Version(String),
    /// Its kind or a device has a bad name.
    #[error("{0:?}")]
    Name(String, #[source] NameError),
    /// It has no device, or two of the same name.
    #[error("it has no device, or two of the same name")]
    Devices,
    /// A field has a value that cannot be.
    #[error("{field} cannot be {value:?}")]
    Value {
        /// Which.
        field: &'static str,
        /// What it holds.
        value: String,
    },
}

/// A specification.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    cdi_version: String,
    pub(super) kind: String,
    #[serde(default)]
    /// For people. It is named so that it is not refused as unknown.
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) devices: Vec<DeviceEntry>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) container_edits: ContainerEdits,
}

/// A device of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeviceEntry {
    pub(super) name: String,
    #[serde(default)]
    /// For people. It is named so that it is not refused as unknown.
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) container_edits: ContainerEdits,
}

/// What is done to a container.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ContainerEdits {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) env: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) device_nodes: Vec<DeviceNode>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) net_devices: Vec<serde_json::Value>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) mounts: Vec<Mount>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) hooks: Vec<Hook>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) additional_gids: Vec<u32>,
    #[serde(default)]
    pub(super) intel_rdt: Option<IntelRdt>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeviceNode {
    pub(super) path: String,
    #[serde(default)]
    pub(super) host_path: Option<String>,
    #[serde(default, rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) major: u32,
    #[serde(default)]
    pub(super) minor: u32,
    #[serde(default)]
    pub(super) file_mode: Option<u32>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) permissions: String,
    #[serde(default)]
    pub(super) uid: Option<u32>,
    #[serde(default)]
    pub(super) gid: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Mount {
    pub(super) host_path: String,
    pub(super) container_path: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) options: Vec<String>,
    #[serde(default, rename = "type")]
    pub(super) kind: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Hook {
    pub(super) hook_name: String,
    pub(super) path: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) args: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) env: Vec<String>,
    #[serde(default)]
    pub(super) timeout: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IntelRdt {
    #[serde(default, rename = "closID")]
    pub(super) class: Option<String>,
    #[serde(default)]
    pub(super) l3_cache_schema: Option<String>,
    #[serde(default)]
    pub(super) mem_bw_schema: Option<String>,
    #[serde(default, rename = "enableCMT")]
    pub(super) cache_monitoring: bool,
    #[serde(default, rename = "enableMBM")]
    pub(super) bandwidth_monitoring: bool,
}

/// Vendors' tools write `null` for a list without elements.
fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Document {
    /// Reads a document in JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(text: &str) -> Result<Self, DocumentError> {
        serde_json::from_str::<Self>(text).map_err(DocumentError::Json)?.checked()
    }

    /// Reads a document in YAML.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_yaml(text: &str) -> Result<Self, DocumentError> {
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        let document = serde_saphyr::from_str_with_options::<Self>(text, options);
        document.map_err(|error| DocumentError::Yaml(error.to_string()))?.checked()
    }

    fn checked(self) -> Result<Self, DocumentError> {
        if !VERSIONS.contains(&self.cdi_version.as_str()) {
            return Err(DocumentError::Version(self.cdi_version));
        }
        check_kind(&self.kind).map_err(|error| DocumentError::Name(self.kind.clone(), error))?;
        let mut names = std::collections::BTreeSet::new();
        for device in &self.devices {
            check_device(&device.name).map_err(|error| DocumentError::Name(device.name.clone(), error))?;
            if !names.insert(&device.name) {
                return Err(DocumentError::Devices);
            }
            device.container_edits.check()?;
        }
        if names.is_empty() {
            return Err(DocumentError::Devices);
        }
        self.container_edits.check()?;
        Ok(self)
    }
}

impl ContainerEdits {
    fn check(&self) -> Result<(), DocumentError> {
        for variable in &self.env {
            let has_name = variable.split_once('=').is_some_and(|(name, _)| !name.is_empty());
            require("env", variable, has_name && !variable.contains('\0'))?;
        }
        for node in &self.device_nodes {
            require("deviceNodes.path", &node.path, is_path(&node.path))?;
            let host_path = node.host_path.as_deref().unwrap_or(&node.path);
            require("deviceNodes.hostPath", host_path, is_path(host_path))?;
            let kind = node.kind.as_deref().unwrap_or_default();
            require("deviceNodes.type", kind, ["", "b", "c", "u", "p"].contains(&kind))?;
            let permissions = &node.permissions;
            require("deviceNodes.permissions", permissions, Permissions::parse(permissions).is_ok())?;
        }
        for mount in &self.mounts {
            require("mounts.containerPath", &mount.container_path, is_path(&mount.container_path))?;
            require("mounts.hostPath", &mount.host_path, !mount.host_path.is_empty())?;
        }
        for hook in &self.hooks {
            require("hooks.hookName", &hook.hook_name, HookPoint::parse(&hook.hook_name).is_some())?;
            require("hooks.path", &hook.path, is_path(&hook.path))?;
            require("hooks.timeout", "0 or less", hook.timeout.is_none_or(|seconds| seconds > 0))?;
        }
        Ok(())
    }
}

fn require(field: &'static str, value: &str, holds: bool) -> Result<(), DocumentError> {
    if holds { Ok(()) } else { Err(DocumentError::Value { field, value: value.to_owned() }) }
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && !path.contains('\0')
}
