//! `config.dump` and `bind.mounts`: the fields are those of CRI-O and podman.

use std::path::PathBuf;

use crio_types::Timestamp;
use serde::{Deserialize, Serialize};

/// Which container a checkpoint is of. Times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The container's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its image, as it was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rootfs_image: String,
    /// The id of that image.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rootfs_image_ref: String,
    /// A name of that image.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rootfs_image_name: String,
    /// The runtime handler.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub runtime: String,
    /// When the container was made.
    pub created_time: String,
    /// When the checkpoint was.
    pub checkpointed_time: String,
    /// When the container was made out of another checkpoint.
    pub restored_time: String,
    /// It was made out of another checkpoint.
    pub restored: bool,
}

/// A file or directory of the host that was mounted into the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    /// On the host.
    pub source: PathBuf,
    /// In the container.
    pub destination: PathBuf,
    /// `directory` or `file`.
    pub file_type: String,
    /// Its mode.
    pub permissions: u32,
}

/// A moment as text; the one that has not come as Go writes it.
#[must_use]
pub fn moment(moment: Timestamp) -> String {
    if moment == Timestamp::NEVER {
        return "0001-01-01T00:00:00Z".to_owned();
    }
    jiff::Timestamp::from_nanosecond(moment.0.into()).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_others_read() {
        let metadata = Metadata {
            id: "ab".to_owned(),
            rootfs_image_ref: "cd".to_owned(),
            created_time: moment(Timestamp(1_500_000_000)),
            restored_time: moment(Timestamp::NEVER),
            ..Metadata::default()
        };
        let text = serde_json::to_string(&metadata).unwrap();
        let expected = r#"{"id":"ab","name":"","rootfsImageRef":"cd","createdTime":"1970-01-01T00:00:01.5Z","checkpointedTime":"","restoredTime":"0001-01-01T00:00:00Z","restored":false}"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Metadata>(&text).unwrap(), metadata);
        assert_eq!(serde_json::from_str::<Metadata>("{}").unwrap(), Metadata::default());
    }
}
