//! Deleting images, and the layers nothing needs any more.
//!
//! The rows go first and the files after them: a crash in between leaves files without rows, which the next start
//! removes, and never a row without files.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crio_types::{ContainerId, ImageId, LayerId};

use super::Store;
use crate::error::StoreError;
use crate::index::Edit;
use crate::overlay::Trash;
use crate::record::{ImageRecord, LayerRecord};

impl Store {
    /// Deletes an image and the layers that nothing else needs.
    ///
    /// # Errors
    /// The image is unknown or containers use it; or removing failed, and the next start finishes it.
    pub fn delete_image(&self, id: &ImageId) -> Result<(), StoreError> {
        self.delete_layers(|layers| {
            let doomed = self.shared.images.write(|images| self.plan_deletion(id, layers, images))?;
            Ok((doomed, Some(self.image_directory(id.as_str()))))
        })
    }

    /// Deletes a layer and those below it, as far as no image, container or other layer needs them: what is left of a
    /// pull that failed. An unknown layer is fine.
    ///
    /// # Errors
    /// Removing failed, and the next start finishes it.
    pub fn delete_unused_layers(&self, top: &LayerId) -> Result<(), StoreError> {
        self.delete_layers(|layers| {
            // Nothing is changed in the images, but nobody may add one meanwhile.
            let doomed = self.shared.images.write(|images| {
                let containers = self.shared.containers.read()?;
                let is_rootfs = containers.rows.iter().any(|container| container.layer == *top);
                Ok::<_, StoreError>(if is_rootfs { Vec::new() } else { unneeded_layers([top], layers, images) })
            })?;
            Ok((doomed, None))
        })
    }

    /// Takes out the rows of the layers that `plan` names, then their files and the directory it names.
    fn delete_layers(
        &self,
        plan: impl FnOnce(&Edit<LayerRecord>) -> Result<(Vec<LayerId>, Option<PathBuf>), StoreError>,
    ) -> Result<(), StoreError> {
        let trash = Trash::new(self.shared.overlay.home());
        let discarded = self.shared.layers.write_then(
            |layers| {
                let planned = plan(layers)?;
                for layer in &planned.0 {
                    layers.remove(layer.as_str());
                }
                Ok(planned)
            },
            |(doomed, directory)| {
                let mut failures = Vec::new();
                for layer in &doomed {
                    failures.extend(self.discard_layer(layer, &trash).err());
                }
                if let Some(directory) = directory {
                    let removed = crio_sys::confined::remove_tree(&directory);
                    failures.extend(removed.err().map(|source| StoreError::file("removing", directory, source)));
                }
                StoreError::gather(failures)
            },
        );
        let emptied = trash.empty();
        discarded.and(emptied)
    }

    /// Takes an image's row out, and names the layers that nothing else needs, topmost first.
    fn plan_deletion(
        &self,
        id: &ImageId,
        layers: &Edit<LayerRecord>,
        images: &mut Edit<ImageRecord>,
    ) -> Result<Vec<LayerId>, StoreError> {
        let users: Vec<ContainerId> = {
            let containers = self.shared.containers.read()?;
            let using = containers.rows.iter().filter(|container| container.image.as_ref() == Some(id));
            using.map(|container| container.id.clone()).collect()
        };
        if !users.is_empty() {
            return Err(StoreError::ImageInUse { image: id.clone(), containers: users });
        }
        let image = images.remove(id.as_str()).ok_or_else(|| StoreError::ImageUnknown(id.clone()))?;
        let tops = image.mapped_top_layers.iter().chain(&image.top_layer);
        let doomed = unneeded_layers(tops, layers, images);
        Ok(doomed)
    }
}

/// The layers among `tops` and below that no image and no other layer needs, topmost first.
fn unneeded_layers<'a>(
    tops: impl IntoIterator<Item = &'a LayerId>,
    layers: &Edit<LayerRecord>,
    images: &Edit<ImageRecord>,
) -> Vec<LayerId> {
    let used = images.rows().flat_map(|image| image.top_layer.iter().chain(&image.mapped_top_layers));
    let used: HashSet<&LayerId> = used.collect();
    let mut children: HashMap<&LayerId, usize> = HashMap::new();
    for parent in layers.rows().filter_map(|layer| layer.parent.as_ref()) {
        *children.entry(parent).or_default() += 1;
    }
    let mut doomed: Vec<LayerId> = Vec::new();
    for top in tops {
        let mut next = layers.get(top.as_str());
        while let Some(layer) = next.filter(|layer| !used.contains(&layer.id)) {
            if children.get(&layer.id).is_some_and(|count| *count > 0) || doomed.contains(&layer.id) {
                break;
            }
            doomed.push(layer.id.clone());
            next = layer.parent.as_ref().and_then(|parent| layers.get(parent.as_str()));
            if let Some(count) = layer.parent.as_ref().and_then(|parent| children.get_mut(parent)) {
                *count -= 1;
            }
        }
    }
    doomed
}
