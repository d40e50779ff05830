//! An image: a row of `images.json`.

use std::collections::BTreeMap;

use crio_types::{ImageId, LayerId, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{moment, moment_text, optional_text, text, texts};
use crate::index::{Object, Row};

/// An image of the store.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRecord {
    /// Id: the configuration's digest in hex.
    pub id: ImageId,
    /// Digest of the manifest it was pulled by, as `sha256:<hex>`; absent on images other programs built.
    pub digest: Option<String>,
    /// Digests of all manifests kept with it, `digest` included and first.
    pub digests: Vec<String>,
    /// Names: with tag (`registry/name:tag`) or digest (`registry/name@sha256:…`).
    pub names: Vec<String>,
    /// Names it had, newest first.
    pub names_history: Vec<String>,
    /// Topmost layer; an image without layers has none.
    pub top_layer: Option<LayerId>,
    /// Further layers with the same contents for other id mappings; podman makes them.
    pub mapped_top_layers: Vec<LayerId>,
    /// Text of the program that made it; containers/image keeps signature sizes there, as JSON.
    pub metadata: String,
    /// Keys and sizes in bytes of its data items (manifests, configuration, signatures).
    pub big_data: BTreeMap<String, u64>,
    /// When it was created, by its own account.
    pub created: Timestamp,
}

impl Row for ImageRecord {
    fn from_object(object: &Object) -> Option<Self> {
        let digest = optional_text(object, "digest");
        let mut digests: Vec<String> = digest.iter().cloned().collect();
        let items = object.get("big-data-digests").and_then(Value::as_object);
        for (_, item) in items.into_iter().flatten().filter(|(key, _)| key.starts_with("manifest")) {
            if let Some(item) = item.as_str().filter(|item| !digests.iter().any(|known| known == item)) {
                digests.push(item.to_owned());
            }
        }
        let sizes = object.get("big-data-sizes").and_then(Value::as_object);
        let size_of = |name: &str| sizes.and_then(|sizes| sizes.get(name)).and_then(Value::as_u64).unwrap_or(0);
        let big_data = texts(object, "big-data-names").into_iter().map(|name| (size_of(&name), name));
        let top_layer = optional_text(object, "layer").map(|layer| layer.parse());
        Some(Self {
            id: text(object, "id").parse().ok()?,
            digest: digest.or_else(|| digests.first().cloned()),
            names: texts(object, "names"),
            names_history: texts(object, "names-history"),
            top_layer: top_layer.transpose().ok()?,
            mapped_top_layers: texts(object, "mapped-layers").iter().filter_map(|layer| layer.parse().ok()).collect(),
            metadata: text(object, "metadata"),
            big_data: big_data.map(|(size, name)| (name, size)).collect(),
            created: moment(object, "created"),
            digests,
        })
    }

    fn key(&self) -> &str {
        self.id.as_str()
    }
}

/// A data item: its key and its contents.
pub(crate) type BigData = (String, Vec<u8>);

/// The object of a new image, without data items.
pub(crate) fn image_object(image: &ImageRecord) -> Object {
    let mut object = Object::new();
    object.insert("id".into(), image.id.as_str().into());
    if let Some(digest) = &image.digest {
        object.insert("digest".into(), digest.as_str().into());
    }
    if !image.names.is_empty() {
        object.insert("names".into(), json!(image.names));
        object.insert("names-history".into(), json!(image.names));
    }
    if let Some(layer) = &image.top_layer {
        object.insert("layer".into(), layer.as_str().into());
    }
    if !image.metadata.is_empty() {
        object.insert("metadata".into(), image.metadata.as_str().into());
    }
    object.insert("created".into(), moment_text(image.created));
    object
}

/// Enters data items into an image's object: names, sizes and digests.
pub(crate) fn merge_big_data(object: &mut Object, items: &[BigData]) {
    let mut names = texts(object, "big-data-names");
    let mut take = |key: &str| match object.remove(key) {
        Some(Value::Object(map)) => map,
        _ => Object::new(),
    };
    let (mut sizes, mut digests) = (take("big-data-sizes"), take("big-data-digests"));
    for (key, contents) in items {
        if !names.contains(key) {
            names.push(key.clone());
        }
        sizes.insert(key.clone(), contents.len().into());
        digests.insert(key.clone(), format!("sha256:{}", hex::encode(Sha256::digest(contents))).into());
    }
    object.insert("big-data-names".into(), json!(names));
    object.insert("big-data-sizes".into(), sizes.into());
    object.insert("big-data-digests".into(), digests.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_manifests() {
        let value = json!({
            "id": "c".repeat(64),
            "digest": "sha256:one",
            "big-data-names": ["manifest", "sha256:cfg"],
            "big-data-sizes": {"manifest": 5, "sha256:cfg": 7},
            "big-data-digests": {"manifest-sha256:two": "sha256:two", "manifest": "sha256:one", "sha256:cfg": "sha256:cfg"},
            "created": "2022-05-01T01:02:03.5Z",
        });
        let image = ImageRecord::from_object(value.as_object().unwrap()).unwrap();
        assert_eq!(image.digests, ["sha256:one", "sha256:two"]);
        assert_eq!(image.big_data["sha256:cfg"], 7);
        assert_eq!(image.created, Timestamp(1_651_366_923_500_000_000));
    }

    #[test]
    fn data_items_are_joined() {
        let mut object = Object::new();
        merge_big_data(&mut object, &[("manifest".into(), b"{}".to_vec())]);
        merge_big_data(&mut object, &[("manifest".into(), b"{ }".to_vec()), ("x".into(), Vec::new())]);
        assert_eq!(object["big-data-names"], json!(["manifest", "x"]));
        assert_eq!(object["big-data-sizes"], json!({"manifest": 3, "x": 0}));
    }
}
