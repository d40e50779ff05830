//! A layer: a row of `layers.json` or `volatile-layers.json`.

use crio_types::{LayerId, Timestamp};
use serde_json::{Value, json};

use super::{moment, moment_text, optional_text, text};
use crate::index::{Object, Row};

/// Flag of a layer that is being made or removed; whoever finds one left over removes it.
const INCOMPLETE: &str = "incomplete";

/// How the blob that became a layer was compressed. The numbers are containers/storage's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// bzip2.
    Bzip2,
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// zstd, chunked or not.
    Zstd,
}

impl Compression {
    fn from_number(number: u64) -> Self {
        match number {
            1 => Self::Bzip2,
            2 => Self::Gzip,
            3 => Self::Xz,
            4 => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// A layer of the store.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerRecord {
    /// Id.
    pub id: LayerId,
    /// The layer below.
    pub parent: Option<LayerId>,
    /// When it was made.
    pub created: Timestamp,
    /// Digest of the compressed blob, as `sha256:<hex>`.
    pub compressed_digest: Option<String>,
    /// Size of the compressed blob in bytes.
    pub compressed_size_bytes: Option<u64>,
    /// Digest of the uncompressed blob, the diff id; container layers have none.
    pub diff_digest: Option<String>,
    /// Size of the uncompressed blob in bytes.
    pub diff_size_bytes: Option<u64>,
    /// Compression of the blob.
    pub compression: Compression,
    /// SELinux label of its mounts; empty for none.
    pub mount_label: String,
    /// It is being made or removed.
    pub is_incomplete: bool,
}

impl Row for LayerRecord {
    fn from_object(object: &Object) -> Option<Self> {
        let number = |key: &str| object.get(key).and_then(Value::as_u64);
        let diff_digest = optional_text(object, "diff-digest");
        let compressed_digest = optional_text(object, "compressed-diff-digest");
        let parent = optional_text(object, "parent").map(|parent| parent.parse());
        Some(Self {
            id: text(object, "id").parse().ok()?,
            parent: parent.transpose().ok()?,
            created: moment(object, "created"),
            compressed_size_bytes: compressed_digest.as_ref().map(|_| number("compressed-size").unwrap_or(0)),
            diff_size_bytes: diff_digest.as_ref().map(|_| number("diff-size").unwrap_or(0)),
            compressed_digest,
            diff_digest,
            compression: Compression::from_number(number("compression").unwrap_or(0)),
            mount_label: text(object, "mountlabel"),
            is_incomplete: object.get("flags").and_then(|flags| flags.get(INCOMPLETE)) == Some(&Value::Bool(true)),
        })
    }

    fn key(&self) -> &str {
        self.id.as_str()
    }
}

/// The object of a new layer; `uids` and `gids` are the owners in it.
pub(crate) fn layer_object(layer: &LayerRecord, uids: &[u32], gids: &[u32]) -> Object {
    let mut object = Object::new();
    let mut set = |key: &str, value: Value| {
        let is_empty = value.is_null() || value == 0 || value == "" || value == json!([]);
        if !is_empty {
            object.insert(key.to_owned(), value);
        }
    };
    set("id", layer.id.as_str().into());
    set("parent", layer.parent.as_ref().map(LayerId::as_str).into());
    set("mountlabel", layer.mount_label.as_str().into());
    set("created", moment_text(layer.created));
    set("compressed-diff-digest", layer.compressed_digest.as_deref().into());
    set("compressed-size", layer.compressed_size_bytes.into());
    set("diff-digest", layer.diff_digest.as_deref().into());
    set("diff-size", layer.diff_size_bytes.into());
    set("compression", (layer.compression as u8).into());
    set("uidset", json!(uids));
    set("gidset", json!(gids));
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let layer = LayerRecord {
            id: LayerId::from_bytes([1; 32]),
            parent: Some(LayerId::from_bytes([2; 32])),
            created: Timestamp(1_700_000_000_123_456_789),
            compressed_digest: Some("sha256:aa".into()),
            compressed_size_bytes: Some(10),
            diff_digest: Some("sha256:bb".into()),
            diff_size_bytes: Some(20),
            compression: Compression::Zstd,
            mount_label: "label".into(),
            is_incomplete: false,
        };
        let object = layer_object(&layer, &[0, 7], &[]);
        assert_eq!(object["created"], "2023-11-14T22:13:20.123456789Z");
        assert_eq!((&object["uidset"], object.get("gidset")), (&json!([0, 7]), None));
        assert_eq!(LayerRecord::from_object(&object).unwrap(), layer);
    }

    #[test]
    fn rows_of_other_programs() {
        let id = "a".repeat(64);
        let cases = [
            (json!({"id": id, "created": "0001-01-01T00:00:00Z", "flags": {"incomplete": true}}), Some(true)),
            (json!({"id": id, "created": "2022-05-01T01:02:03+02:00", "flags": {}}), Some(false)),
            (json!({"id": "../x"}), None),
            (json!({"id": id, "parent": "x"}), None),
        ];
        for (value, incomplete) in cases {
            let read = LayerRecord::from_object(value.as_object().unwrap());
            assert_eq!(read.map(|layer| layer.is_incomplete), incomplete, "{value}");
        }
    }
}
