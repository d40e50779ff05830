//! Containers: their read-write layers, records, directories and mounts. Nothing here waits for a disk.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;

use crio_sys::mount;
use crio_types::{ContainerId, IdMapping, ImageId, LayerId, Timestamp};
use serde_json::json;

use super::{MountPoint, Store, VOLATILE};
use crate::error::StoreError;
use crate::index::{Edit, Object};
use crate::overlay::{LayerMount, Trash, create_private};
use crate::record::{Compression, ContainerRecord, LayerRecord, container_object, layer_object};

/// Ids of a container with a user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMappings {
    /// User ids.
    pub uids: Vec<IdMapping>,
    /// Group ids.
    pub gids: Vec<IdMapping>,
}

/// A container to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContainer {
    /// Id.
    pub id: ContainerId,
    /// Names, unique among containers.
    pub names: Vec<String>,
    /// The image it is made from.
    pub image: Option<ImageId>,
    /// The layer below its own; `None` means the image's topmost layer, or an empty root without an image.
    pub top_layer: Option<LayerId>,
    /// Text for the record.
    pub metadata: String,
    /// SELinux label of the mount; empty for none.
    pub mount_label: String,
    /// Ids for the record, when it gets a user namespace; see [`Store::mount_container_mapped`].
    pub id_mappings: Option<IdMappings>,
}

impl Store {
    /// Makes a container: its read-write layer, its directories and its volatile record.
    ///
    /// # Errors
    /// The image or layer is unknown, the id or a name is taken, or writing failed; nothing is left then.
    pub fn create_container(&self, container: NewContainer) -> Result<Arc<ContainerRecord>, StoreError> {
        let id = container.id.clone();
        let random = crio_sys::random::bytes32()
            .map_err(|source| StoreError::file("naming a layer in", self.layers_directory(), source))?;
        let layer = LayerId::from_bytes(random);
        let trash = Trash::new(self.shared.overlay.home());
        let created = self.shared.layers.write(|layers| self.add_container(container, &layer, layers, &trash));
        let created = created.and_then(|record| {
            self.container_directories(&id)
                .iter()
                .try_for_each(|directory| create_private(&directory.join("userdata")))?;
            Ok(record)
        });
        match created {
            Err(error) if !is_refusal(&error) => {
                // What was made is unmade; the failure that led here is the one to report.
                let _ = self.undo_creation(&id, &layer, &trash);
                Err(error)
            }
            outcome => outcome,
        }
    }

    /// All containers of the store, other programs' included.
    ///
    /// # Errors
    /// The table changed and cannot be read.
    pub fn containers(&self) -> Result<Arc<[Arc<ContainerRecord>]>, StoreError> {
        Ok(Arc::clone(&self.shared.containers.read()?.rows))
    }

    /// The container with this id.
    ///
    /// # Errors
    /// The table changed and cannot be read.
    pub fn container(&self, id: &ContainerId) -> Result<Option<Arc<ContainerRecord>>, StoreError> {
        Ok(self.shared.containers.read()?.get(id.as_str()).cloned())
    }

    /// Replaces the text of a container's record.
    ///
    /// # Errors
    /// The container is unknown, or writing failed.
    pub fn set_container_metadata(&self, id: &ContainerId, metadata: &str) -> Result<(), StoreError> {
        self.shared.containers.write(|edit| {
            let changed = edit.update(id.as_str(), |object| {
                object.insert("metadata".into(), metadata.into());
            });
            changed.map(|_| ()).ok_or_else(|| StoreError::ContainerUnknown(id.clone()))
        })
    }

    /// Mounts a container's root file system and returns where. One that is mounted already stays as it is.
    ///
    /// # Errors
    /// The container is unknown, or the kernel refuses the mount.
    pub fn mount_container(&self, id: &ContainerId) -> Result<PathBuf, StoreError> {
        self.mount_in(id, None)
    }

    /// As [`Store::mount_container`], for a container in this user namespace: owners of the image appear to it as
    /// they are in the image (id-mapped layers).
    ///
    /// # Errors
    /// As [`Store::mount_container`]; or the file system below the store cannot be id-mapped.
    pub fn mount_container_mapped(
        &self,
        id: &ContainerId,
        user_namespace: BorrowedFd<'_>,
    ) -> Result<PathBuf, StoreError> {
        self.mount_in(id, Some(user_namespace))
    }

    /// Whether [`Store::mount_container_mapped`] can work here: the kernel and the file system of the store are tried.
    /// Nothing stays of it.
    ///
    /// # Errors
    /// Why not.
    pub fn try_mapped_mount(&self, user_namespace: BorrowedFd<'_>) -> Result<(), StoreError> {
        self.shared.overlay.try_mapped(user_namespace)
    }

    /// Unmounts a container's root file system. One that is not mounted is fine.
    ///
    /// # Errors
    /// The container is unknown, or the kernel refuses.
    pub fn unmount_container(&self, id: &ContainerId) -> Result<(), StoreError> {
        let container = self.container(id)?.ok_or_else(|| StoreError::ContainerUnknown(id.clone()))?;
        self.unmount_layer(&container.layer)
    }

    /// Unmounts and deletes a container: record, read-write layer, directories. Deleting one that does not exist is
    /// fine, so that it can be repeated.
    ///
    /// # Errors
    /// Something could not be removed; every step was tried, and a later call or start finishes it.
    pub fn delete_container(&self, id: &ContainerId) -> Result<(), StoreError> {
        let mut failures = Vec::new();
        if let Some(container) = self.container(id)? {
            let trash = Trash::new(self.shared.overlay.home());
            failures.extend(self.unmount_layer(&container.layer).err());
            failures.extend(self.forget_container(id, &container.layer, &trash).err());
            failures.extend(trash.empty().err());
        }
        failures.extend(self.remove_container_directories(id).err());
        StoreError::gather(failures)
    }

    /// The container's persistent directory, `<root>/overlay-containers/<id>/userdata`. Exists while the container does.
    #[must_use]
    pub fn container_dir(&self, id: &ContainerId) -> PathBuf {
        let [persistent, _] = self.container_directories(id);
        persistent.join("userdata")
    }

    /// The container's run directory, `<runroot>/overlay-containers/<id>/userdata`. Exists while the container does.
    #[must_use]
    pub fn container_run_dir(&self, id: &ContainerId) -> PathBuf {
        let [_, run] = self.container_directories(id);
        run.join("userdata")
    }

    /// Enters a container and its layer, under the layers' lock.
    fn add_container(
        &self,
        container: NewContainer,
        layer: &LayerId,
        layers: &mut Edit<LayerRecord>,
        trash: &Trash,
    ) -> Result<Arc<ContainerRecord>, StoreError> {
        let parent = match (container.top_layer, &container.image) {
            (Some(layer), _) => Some(layer),
            (None, Some(id)) => {
                let image = self.image(id)?.ok_or_else(|| StoreError::ImageUnknown(id.clone()))?;
                image.top_layer.clone()
            }
            (None, None) => None,
        };
        let is_missing = |parent: &&LayerId| layers.get(parent.as_str()).is_none_or(|layer| layer.is_incomplete);
        if let Some(parent) = parent.as_ref().filter(is_missing) {
            return Err(StoreError::LayerUnknown(parent.clone()));
        }
        let record = ContainerRecord {
            id: container.id,
            names: container.names,
            image: container.image,
            layer: layer.clone(),
            metadata: container.metadata,
            created: Timestamp::now(),
            mount_label: container.mount_label,
            is_volatile: true,
            boot_id: Some(self.shared.boot_id.clone()),
        };
        let (uids, gids) = container.id_mappings.map(|maps| (maps.uids, maps.gids)).unwrap_or_default();
        let object = container_object(&record, &uids, &gids);
        self.shared.containers.write(|containers| {
            check_free(&record, containers)?;
            self.shared.overlay.create(layer, parent.as_ref(), trash)?;
            layers.add(VOLATILE, &layer_object(&container_layer(&record, parent.clone()), &[], &[]));
            containers.add(VOLATILE, &object);
            Ok(Arc::new(record))
        })
    }

    /// Removes the traces of a container that could not be made completely.
    fn undo_creation(&self, id: &ContainerId, layer: &LayerId, trash: &Trash) -> Result<(), StoreError> {
        let mut failures = Vec::new();
        failures.extend(self.forget_container(id, layer, trash).err());
        failures.extend(self.remove_container_directories(id).err());
        StoreError::gather(failures)
    }

    /// Takes a container's rows out, then its layer's files away.
    fn forget_container(&self, id: &ContainerId, layer: &LayerId, trash: &Trash) -> Result<(), StoreError> {
        self.shared.layers.write_then(
            |layers| {
                layers.remove(layer.as_str());
                Ok(())
            },
            |()| {
                self.discard_layer(layer, trash)?;
                self.shared.containers.write(|containers| {
                    containers.remove(id.as_str());
                    Ok(())
                })
            },
        )
    }

    fn remove_container_directories(&self, id: &ContainerId) -> Result<(), StoreError> {
        let mut failures = Vec::new();
        for directory in self.container_directories(id) {
            // Whatever was mounted below userdata (shm, image volumes) is its owner's to unmount; never walk into it.
            let removed = crio_sys::confined::remove_tree(&directory);
            failures.extend(removed.err().map(|source| StoreError::file("removing", directory, source)));
        }
        StoreError::gather(failures)
    }

    fn mount_in(&self, id: &ContainerId, user_namespace: Option<BorrowedFd<'_>>) -> Result<PathBuf, StoreError> {
        let container = self.container(id)?.ok_or_else(|| StoreError::ContainerUnknown(id.clone()))?;
        let layer = &container.layer;
        let how = LayerMount { label: &container.mount_label, is_volatile: container.is_volatile, user_namespace };
        self.shared.mounts.write(|mounts| {
            let target = self.shared.overlay.merged(layer);
            let is_mounted = mount::is_mount_point(&target);
            if is_mounted.map_err(|source| StoreError::file("examining", &target, source))? {
                if mounts.get(layer.as_str()).is_none() {
                    note_mount(mounts, layer, &target);
                }
                return Ok(target);
            }
            let target = self.shared.overlay.mount(layer, &how)?;
            note_mount(mounts, layer, &target);
            Ok(target)
        })
    }

    fn unmount_layer(&self, layer: &LayerId) -> Result<(), StoreError> {
        self.shared.mounts.write(|mounts| {
            self.shared.overlay.unmount(layer)?;
            mounts.remove(layer.as_str());
            Ok(())
        })
    }
}

/// Enters a mount with one user.
fn note_mount(mounts: &mut Edit<MountPoint>, layer: &LayerId, target: &std::path::Path) {
    mounts.remove(layer.as_str());
    let mut object = Object::new();
    object.insert("id".into(), layer.as_str().into());
    object.insert("path".into(), json!(target.to_string_lossy()));
    object.insert("count".into(), 1.into());
    mounts.add(0, &object);
}

fn check_free(record: &ContainerRecord, containers: &Edit<ContainerRecord>) -> Result<(), StoreError> {
    if containers.get(record.id.as_str()).is_some() {
        return Err(StoreError::ContainerExists(record.id.clone()));
    }
    for name in &record.names {
        if let Some(holder) = containers.rows().find(|other| other.names.contains(name)) {
            return Err(StoreError::NameInUse { name: name.clone(), holder: holder.id.clone() });
        }
    }
    Ok(())
}

/// Errors before anything was made, or that speak of somebody else's container.
fn is_refusal(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::LayerUnknown(_)
            | StoreError::ImageUnknown(_)
            | StoreError::ContainerExists(_)
            | StoreError::NameInUse { .. }
    )
}

fn container_layer(container: &ContainerRecord, parent: Option<LayerId>) -> LayerRecord {
    LayerRecord {
        id: container.layer.clone(),
        parent,
        created: container.created,
        compressed_digest: None,
        compressed_size_bytes: None,
        diff_digest: None,
        diff_size_bytes: None,
        compression: Compression::None,
        mount_label: container.mount_label.clone(),
        is_incomplete: false,
    }
}
