//! What an image's own documents say: read once, when the image first shows up.
//!
//! The documents come from outside and from other programs. One that is missing or malformed takes nothing from the
//! list of images; it only leaves the fields that depend on it empty.

use std::sync::Arc;

use crio_storage::{ImageRecord, Store};
use crio_types::Labels;
use oci_spec::image::ImageConfiguration;
use serde::Deserialize;

use crate::image::ImageUser;

/// Largest document that is parsed; the pull pipeline accepts no larger one.
const MAX_DOCUMENT_BYTES: u64 = crio_image::MAX_DOCUMENT_BYTES;

/// What was read for one image.
#[derive(Debug, Default)]
pub(crate) struct Details {
    pub(crate) config: Option<Arc<ImageConfiguration>>,
    pub(crate) user: Option<ImageUser>,
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) size_bytes: u64,
}

#[derive(Deserialize)]
struct Annotated {
    annotations: Option<Labels>,
}

impl Details {
    /// Reads an image's documents. Blocks on the disk.
    pub(crate) fn read(store: &Store, record: &ImageRecord) -> Self {
        let config = document(store, record, &config_key(record)).and_then(|bytes| parse_config(&bytes));
        let parameters = config.as_ref().and_then(|config| config.config().as_ref());
        let user = parameters.and_then(|parameters| parameters.user().as_deref()).and_then(ImageUser::parse);
        let labels = parameters.and_then(|parameters| parameters.labels().as_ref());
        let labels = labels.map(|labels| labels.clone().into_iter().collect()).unwrap_or_default();
        let annotations = document(store, record, "manifest")
            .and_then(|bytes| serde_json::from_slice::<Annotated>(&bytes).ok())
            .and_then(|manifest| manifest.annotations);
        Self {
            user,
            labels,
            annotations: annotations.unwrap_or_default(),
            size_bytes: store.image_size_bytes(&record.id).unwrap_or_default(),
            config: config.map(Arc::new),
        }
    }
}

/// The key under which an image's configuration is kept: its own digest, which is also the image's id.
pub(crate) fn config_key(record: &ImageRecord) -> String {
    format!("sha256:{}", record.id)
}

fn document(store: &Store, record: &ImageRecord, key: &str) -> Option<Vec<u8>> {
    if record.big_data.get(key).is_none_or(|size| *size > MAX_DOCUMENT_BYTES) {
        return None;
    }
    store.image_big_data(&record.id, key).ok().flatten()
}

fn parse_config(bytes: &[u8]) -> Option<ImageConfiguration> {
    let mut config = ImageConfiguration::from_reader(bytes).ok()?;
    // Build steps are of no use at run time and often are most of the document.
    config.set_history(None);
    Some(config)
}
