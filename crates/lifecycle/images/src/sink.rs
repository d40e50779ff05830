//! The store as the pull pipeline sees it.
//!
//! Layers and image records are written as containers/image writes them, so that podman and skopeo find what we
//! pulled and we find what they did: layer ids from the chain of diff ids, the image id from the configuration, and
//! the documents under their keys.

use std::io::Read;

use crio_image::{ChainPosition, LayerInfo, LayerSink, PulledImage, SinkError};
use crio_storage::{ApplyError, ApplyLimits, NewImage, StagedLayer, Store, StoreError, layer_id};
use crio_types::{Classified, ErrorKind, ImageId, LayerId, Timestamp};
use serde::Deserialize;

/// Stores pulled layers and images.
#[derive(Debug)]
pub(crate) struct StoreSink {
    store: Store,
}

impl StoreSink {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }
}

impl LayerSink for StoreSink {
    type Staged = StagedLayer;

    fn existing(&self, chain: &[ChainPosition]) -> Result<Vec<bool>, SinkError> {
        let what = "looking for the layers that are here already";
        chain
            .iter()
            .map(|position| match self.store.layer(&id_of(position)) {
                Ok(layer) => Ok(layer.is_some()),
                Err(error) => Err(failed(what, error)),
            })
            .collect()
    }

    fn stage(&self, tar: &mut dyn Read) -> Result<StagedLayer, SinkError> {
        let mut staged = self.store.stage_layer().map_err(|error| failed("staging a layer", error))?;
        staged.apply(tar, &ApplyLimits::default()).map_err(apply_failed)?;
        Ok(staged)
    }

    fn commit(&self, position: &ChainPosition, staged: StagedLayer, info: &LayerInfo) -> Result<(), SinkError> {
        let info = crio_storage::LayerInfo {
            id: id_of(position),
            parent: fold(&position.diff_ids()[..position.diff_ids().len() - 1]),
            diff_digest: position.diff_id().to_string(),
            diff_size_bytes: info.diff_size_bytes,
            compressed_digest: Some(info.compressed_digest.to_string()),
            compressed_size_bytes: Some(info.compressed_size_bytes),
            compression: match info.compression {
                crio_image::Compression::None => crio_storage::Compression::None,
                crio_image::Compression::Gzip => crio_storage::Compression::Gzip,
                crio_image::Compression::Zstd => crio_storage::Compression::Zstd,
            },
        };
        self.store.commit_layer(staged, &info).map_err(|error| failed("committing a layer", error))
    }

    fn record(&self, image: &PulledImage) -> Result<(), SinkError> {
        let new = new_image(image);
        self.store.create_image(new).map(drop).map_err(|error| failed("recording the image", error))
    }

    fn roll_back(&self, committed: &[ChainPosition]) {
        let Some(top) = committed.last() else { return };
        if let Err(error) = self.store.delete_unused_layers(&id_of(top)) {
            tracing::warn!(error = %crio_types::chain(&error), "layers of a failed pull stay behind");
        }
    }
}

/// The record as containers/image makes it. The record's digest is that of what the name led to: the index if there
/// was one.
fn new_image(image: &PulledImage) -> NewImage {
    let mut big_data = Vec::with_capacity(4);
    big_data.push((image.config_digest.to_string(), image.config_bytes.clone()));
    if let Some((digest, bytes)) = &image.index {
        big_data.push((format!("manifest-{digest}"), bytes.clone()));
    }
    big_data.push((format!("manifest-{}", image.manifest_digest), image.manifest_bytes.clone()));
    big_data.push(("manifest".to_owned(), image.manifest_bytes.clone()));
    let digest = image.index.as_ref().map_or(image.manifest_digest, |(digest, _)| *digest);
    NewImage {
        id: ImageId::from_bytes(image.config_digest.bytes()),
        names: vec![image.reference.to_string()],
        top_layer: image.layers.last().map(id_of),
        digest: Some(digest.to_string()),
        big_data,
        metadata: "{}".to_owned(),
        created: created(&image.config_bytes),
    }
}

#[derive(Deserialize)]
struct Dated {
    created: Option<jiff::Timestamp>,
}

/// When the image was created, by its own account; never, when it does not say so.
fn created(config: &[u8]) -> Timestamp {
    let dated: Option<Dated> = serde_json::from_slice(config).ok();
    let moment = dated.and_then(|dated| dated.created).map(|moment| moment.as_nanosecond());
    Timestamp(moment.and_then(|nanoseconds| i64::try_from(nanoseconds).ok()).unwrap_or_default())
}

fn id_of(position: &ChainPosition) -> LayerId {
    fold(position.diff_ids()).expect("a position has at least its own diff id")
}

/// The id of the layer at the top of these diffs.
fn fold(diff_ids: &[crio_image::Digest]) -> Option<LayerId> {
    diff_ids.iter().fold(None, |below, diff_id| layer_id(below.as_ref(), &diff_id.to_string()))
}

fn failed(what: &'static str, error: StoreError) -> SinkError {
    SinkError {
        what,
        // A layer that is missing here was there when the pull began: somebody removed it.
        retry: matches!(error, StoreError::LayerUnknown(_) | StoreError::ImageUnknown(_)),
        kind: match error.kind() {
            ErrorKind::NotFound => ErrorKind::Unavailable,
            kind => kind,
        },
        source: Box::new(error),
    }
}

fn apply_failed(error: ApplyError) -> SinkError {
    SinkError { what: "unpacking a layer", kind: error.kind(), retry: false, source: Box::new(error) }
}
