//! Removing what dead processes left: staging directories, layers half made or half removed, and directories that no
//! row speaks of.
//!
//! Runs when the store is opened, under all locks, so that what looks abandoned is not merely unfinished. Rows we do
//! not understand stop the collection of directories: they may belong to them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crio_types::LayerId;

use super::{Store, VOLATILE};
use crate::error::StoreError;
use crate::index::Edit;
use crate::overlay::{Trash, missing_is_fine, prune};
use crate::record::{ContainerRecord, ImageRecord, LayerRecord};
use crate::staging::TAR_SPLIT_PREFIX;

impl Store {
    /// Brings the store into a state in which every row has its files and every file its row.
    ///
    /// # Errors
    /// A table or directory cannot be read. What could merely not be removed is returned: the next start tries again.
    pub(super) fn collect_garbage(&self) -> Result<Vec<StoreError>, StoreError> {
        let mut failures = Vec::new();
        let living = prune(self.shared.overlay.home(), &mut failures)?;
        self.prune_tar_splits(&living)?;
        for container in self.containers()?.iter() {
            if container.boot_id.as_ref().is_some_and(|boot| *boot != self.shared.boot_id) {
                failures.extend(self.delete_container(&container.id).err());
            }
        }
        let trash = Trash::new(self.shared.overlay.home());
        self.shared.layers.write_then(
            |layers| {
                let images = self.shared.images.read()?;
                let containers = self.shared.containers.read()?;
                let doomed = abandoned(layers, &images.rows, &containers.rows);
                for layer in &doomed {
                    layers.remove(layer.as_str());
                }
                let known: HashSet<LayerId> = layers.rows().map(|layer| layer.id.clone()).collect();
                Ok((doomed, layers.is_understood().then_some(known)))
            },
            |(doomed, known)| {
                for layer in &doomed {
                    failures.extend(self.discard_layer(layer, &trash).err());
                }
                self.sweep(known.as_ref(), &trash, &mut failures)
            },
        )?;
        failures.extend(trash.empty().err());
        Ok(failures)
    }

    /// Takes away the directories without a row. Called under the layers' lock.
    fn sweep(
        &self,
        known: Option<&HashSet<LayerId>>,
        trash: &Trash,
        failures: &mut Vec<StoreError>,
    ) -> Result<(), StoreError> {
        if let Some(known) = known {
            for layer in self.shared.overlay.layers()?.iter().filter(|layer| !known.contains(layer)) {
                failures.extend(self.discard_layer(layer, trash).err());
            }
        }
        let config = &self.shared.config;
        self.shared.images.write(|images: &mut Edit<ImageRecord>| {
            if images.is_understood() {
                let known = images.rows().map(|image| image.id.as_str()).collect();
                sweep_directory(&config.root.join("overlay-images"), &known, failures)?;
            }
            Ok::<_, StoreError>(())
        })?;
        self.shared.containers.write(|containers: &mut Edit<ContainerRecord>| {
            if containers.is_understood() {
                let known = containers.rows().map(|container| container.id.as_str()).collect();
                sweep_directory(&config.root.join("overlay-containers"), &known, failures)?;
            }
            Ok(())
        })
    }

    /// Removes staged tar-split files whose staging directory is gone.
    fn prune_tar_splits(&self, living: &[String]) -> Result<(), StoreError> {
        let directory = self.layers_directory();
        let fail = |source| StoreError::file("listing", &directory, source);
        for entry in fs::read_dir(&directory).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            let Some(owner) = name.to_str().and_then(|name| name.strip_prefix(TAR_SPLIT_PREFIX)) else {
                continue;
            };
            if !living.iter().any(|living| living == owner) {
                let removed = missing_is_fine(fs::remove_file(entry.path()));
                removed.map_err(|source| StoreError::file("removing", entry.path(), source))?;
            }
        }
        Ok(())
    }
}

/// Layers flagged as incomplete, and volatile layers that neither a container, an image nor a layer uses.
fn abandoned(
    layers: &Edit<LayerRecord>,
    images: &[std::sync::Arc<ImageRecord>],
    containers: &[std::sync::Arc<ContainerRecord>],
) -> Vec<LayerId> {
    let mut used: HashSet<&LayerId> = containers.iter().map(|container| &container.layer).collect();
    used.extend(images.iter().flat_map(|image| image.top_layer.iter().chain(&image.mapped_top_layers)));
    used.extend(layers.rows().filter_map(|layer| layer.parent.as_ref()));
    let incomplete = layers.rows().filter(|layer| layer.is_incomplete);
    let orphaned = layers.rows_of(VOLATILE).filter(|layer| !used.contains(&layer.id));
    let mut doomed: Vec<LayerId> = incomplete.chain(orphaned).map(|layer| layer.id.clone()).collect();
    doomed.sort();
    doomed.dedup();
    doomed
}

/// Takes away the subdirectories that are named like ids but are not known.
fn sweep_directory(directory: &Path, known: &HashSet<&str>, failures: &mut Vec<StoreError>) -> Result<(), StoreError> {
    let fail = |source| StoreError::file("listing", directory, source);
    for entry in fs::read_dir(directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let is_id = |name: &&str| name.parse::<LayerId>().is_ok();
        if name.to_str().filter(is_id).is_some_and(|name| !known.contains(name)) {
            let removed = crio_sys::confined::remove_tree(&entry.path());
            failures.extend(removed.err().map(|source| StoreError::file("removing", entry.path(), source)));
        }
    }
    Ok(())
}
