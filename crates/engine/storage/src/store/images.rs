//! Images: recording, finding, naming, mounting.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crio_sys::mount;
use crio_types::{ImageId, LayerId, Timestamp};
use serde_json::json;

use super::{DURABLE, Store, big_data_file};
use crate::error::StoreError;
use crate::index::{Edit, write_durably};
use crate::overlay::{ImageMountOptions, MappedHome, create_private};
use crate::record::{BigData, ImageRecord, LayerRecord, image_object, merge_big_data};

/// Bytes of one data item at most. Manifests may have four mebibytes, signatures less.
const BIG_DATA_LIMIT: u64 = 16 << 20;

/// An image to be recorded once its layers are committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImage {
    /// Id: the configuration's digest in hex.
    pub id: ImageId,
    /// Names; each is taken from the image that has it now.
    pub names: Vec<String>,
    /// Topmost layer; `None` for an image without layers.
    pub top_layer: Option<LayerId>,
    /// Digest of the manifest.
    pub digest: Option<String>,
    /// Data items by key: `manifest`, `manifest-<digest>`, `<configuration digest>`, `signature-<hex>`.
    pub big_data: Vec<(String, Vec<u8>)>,
    /// Text for the record; containers/image reads JSON here, `{}` when there are no signatures.
    pub metadata: String,
    /// When it was created, by its own account.
    pub created: Timestamp,
}

impl Store {
    /// Records an image. When it exists already, its names and data items are joined with the new ones.
    ///
    /// # Errors
    /// The top layer is unknown, or writing failed; the image is not visible then.
    #[expect(clippy::needless_pass_by_value, reason = "callers build the value for this call")]
    pub fn create_image(&self, image: NewImage) -> Result<Arc<ImageRecord>, StoreError> {
        // The layers' lock keeps another process from deleting the layer before the image that needs it is recorded.
        self.shared.layers.write(|layers| {
            if let Some(layer) = image.top_layer.as_ref().filter(|layer| !has_layer(layers, layer)) {
                return Err(StoreError::LayerUnknown(layer.clone()));
            }
            self.shared.images.write(|edit| {
                self.write_big_data(&image.id, &image.big_data)?;
                let record = enter(edit, &image);
                take_names(edit, &image.id, &image.names);
                Ok(edit.get(image.id.as_str()).cloned().unwrap_or(record))
            })
        })
    }

    /// All images, as of the last write by anyone.
    ///
    /// # Errors
    /// The table changed and cannot be read.
    pub fn images(&self) -> Result<Arc<[Arc<ImageRecord>]>, StoreError> {
        Ok(Arc::clone(&self.shared.images.read()?.rows))
    }

    /// The image with this id.
    ///
    /// # Errors
    /// The table changed and cannot be read.
    pub fn image(&self, id: &ImageId) -> Result<Option<Arc<ImageRecord>>, StoreError> {
        Ok(self.shared.images.read()?.get(id.as_str()).cloned())
    }

    /// Replaces an image's names; each new one is taken from the image that has it now.
    ///
    /// # Errors
    /// The image is unknown, or writing failed.
    pub fn set_image_names(&self, id: &ImageId, names: &[String]) -> Result<(), StoreError> {
        self.rename_image(id, |_| unique(names))
    }

    /// Adds names to an image; each is taken from the image that has it now.
    ///
    /// # Errors
    /// The image is unknown, or writing failed.
    pub fn add_image_names(&self, id: &ImageId, names: &[String]) -> Result<(), StoreError> {
        self.rename_image(id, |old| unique(old.iter().chain(names)))
    }

    /// Removes names from an image; those it does not have are passed over.
    ///
    /// # Errors
    /// The image is unknown, or writing failed.
    pub fn remove_image_names(&self, id: &ImageId, names: &[String]) -> Result<(), StoreError> {
        self.rename_image(id, |old| unique(old.iter().filter(|name| !names.contains(name))))
    }

    /// One data item of an image; `None` when it has no such item.
    ///
    /// # Errors
    /// The image is unknown, or the item cannot be read.
    pub fn image_big_data(&self, id: &ImageId, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let image = self.image(id)?.ok_or_else(|| StoreError::ImageUnknown(id.clone()))?;
        if !image.big_data.contains_key(key) {
            return Ok(None);
        }
        let path = self.image_directory(id.as_str()).join(big_data_file(key));
        let mut contents = Vec::new();
        let read = fs::File::open(&path).and_then(|file| file.take(BIG_DATA_LIMIT + 1).read_to_end(&mut contents));
        match read {
            Ok(length) if length as u64 > BIG_DATA_LIMIT => {
                Err(StoreError::file("reading", path, io::ErrorKind::FileTooLarge))
            }
            Ok(_) => Ok(Some(contents)),
            Err(source) => Err(StoreError::file("reading", path, source)),
        }
    }

    /// Mounts an image's tree read-only (also `nodev`, `nosuid`, `noexec`) on the directory `target`, which the
    /// caller owns and later hands to [`Store::unmount_image`]. With a user namespace, a directory beside `target` is
    /// needed meanwhile.
    ///
    /// # Errors
    /// The image is unknown or has no layers, or the kernel refuses the mount.
    pub fn mount_image(&self, id: &ImageId, target: &Path, how: ImageMountOptions<'_>) -> Result<(), StoreError> {
        let image = self.image(id)?.ok_or_else(|| StoreError::ImageUnknown(id.clone()))?;
        match &image.top_layer {
            Some(layer) => self.shared.overlay.mount_read_only(layer, target, how),
            None => Err(StoreError::file("mounting an image without layers on", target, io::ErrorKind::NotFound)),
        }
    }

    /// Takes an image's tree off `target`. A target that is not mounted is fine.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn unmount_image(&self, target: &Path) -> Result<(), StoreError> {
        MappedHome::beside(target).remove()?;
        mount::unmount(target).map_err(|source| StoreError::file("unmounting", target, source))?;
        Ok(())
    }

    fn rename_image(&self, id: &ImageId, names: impl FnOnce(&[String]) -> Vec<String>) -> Result<(), StoreError> {
        self.shared.images.write(|edit| {
            let image = edit.get(id.as_str()).cloned().ok_or_else(|| StoreError::ImageUnknown(id.clone()))?;
            let names = names(&image.names);
            if names != image.names {
                replace_names(edit, id, &names);
            }
            Ok(())
        })
    }

    fn write_big_data(&self, id: &ImageId, items: &[BigData]) -> Result<(), StoreError> {
        let directory = self.image_directory(id.as_str());
        create_private(&directory)?;
        for (key, contents) in items {
            let path = directory.join(big_data_file(key));
            write_durably(&path, contents).map_err(|source| StoreError::file("writing", path, source))?;
        }
        Ok(())
    }
}

fn has_layer(layers: &Edit<LayerRecord>, id: &LayerId) -> bool {
    layers.get(id.as_str()).is_some_and(|layer| !layer.is_incomplete)
}

/// Adds the image's row, or joins it with the one that is there.
fn enter(edit: &mut Edit<ImageRecord>, image: &NewImage) -> Arc<ImageRecord> {
    let joined = edit.update(image.id.as_str(), |object| {
        merge_big_data(object, &image.big_data);
        if let Some(digest) = &image.digest {
            object.insert("digest".into(), digest.as_str().into());
        }
        if !image.metadata.is_empty() {
            object.insert("metadata".into(), image.metadata.as_str().into());
        }
    });
    joined.unwrap_or_else(|| {
        let record = ImageRecord {
            id: image.id.clone(),
            digest: image.digest.clone(),
            digests: Vec::new(),
            names: Vec::new(),
            names_history: Vec::new(),
            top_layer: image.top_layer.clone(),
            mapped_top_layers: Vec::new(),
            metadata: image.metadata.clone(),
            big_data: std::collections::BTreeMap::new(),
            created: image.created,
        };
        let mut object = image_object(&record);
        merge_big_data(&mut object, &image.big_data);
        edit.add(DURABLE, &object).unwrap_or_else(|| Arc::new(record))
    })
}

/// Adds names to an image.
fn take_names(edit: &mut Edit<ImageRecord>, id: &ImageId, names: &[String]) {
    let old = edit.get(id.as_str()).map(|image| image.names.clone()).unwrap_or_default();
    let all = unique(old.iter().chain(names));
    if all != old {
        replace_names(edit, id, &all);
    }
}

/// Gives an image these names, taking them from the images that have them, and remembers them in its history.
fn replace_names(edit: &mut Edit<ImageRecord>, id: &ImageId, names: &[String]) {
    let losers: Vec<_> = edit
        .rows()
        .filter(|image| image.id != *id && image.names.iter().any(|name| names.contains(name)))
        .cloned()
        .collect();
    for loser in losers {
        let left = unique(loser.names.iter().filter(|name| !names.contains(name)));
        edit.update(loser.id.as_str(), |object| set_list(object, "names", &left));
    }
    let history = edit.get(id.as_str()).map(|image| image.names_history.clone()).unwrap_or_default();
    let history = unique(names.iter().rev().chain(&history));
    edit.update(id.as_str(), |object| {
        set_list(object, "names", names);
        set_list(object, "names-history", &history);
    });
}

fn set_list(object: &mut crate::index::Object, key: &str, list: &[String]) {
    if list.is_empty() {
        object.shift_remove(key);
    } else {
        object.insert(key.into(), json!(list));
    }
}

fn unique<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.into_iter().filter(|name| seen.insert(name.as_str())).cloned().collect()
}
