//! The store: what the rest of the daemon calls.
//!
//! Locks nest in one order, as in containers/storage: layers, images, containers, mount points. What must be true
//! together is changed under the outermost of them; unpacking, syncing and removing trees happen under none.

mod changes;
mod collect;
mod containers;
mod deletion;
mod images;
mod layers;
mod usage;

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crio_types::{ContainerId, LayerId};
use serde_json::Value;

use crate::apply::OnChownError;
use crate::config::Config;
use crate::error::StoreError;
use crate::index::{Durability, Object, Row, Table, TableFile};
use crate::overlay::{MountOptions, Overlay, create_private};
use crate::record::{ContainerRecord, ImageRecord, LayerRecord};

pub use changes::ImportError;
pub use containers::{IdMappings, NewContainer};
pub use images::NewImage;
pub use layers::LayerInfo;
pub use usage::Usage;

/// Index of the durable file of a table.
const DURABLE: usize = 0;
/// Index of the volatile file of a table.
const VOLATILE: usize = 1;

/// One graph root. Clones share everything.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
    left_behind: Arc<[StoreError]>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    overlay: Overlay,
    layers: Table<LayerRecord>,
    images: Table<ImageRecord>,
    containers: Table<ContainerRecord>,
    mounts: Table<MountPoint>,
    boot_id: String,
}

/// A row of `mountpoints.json`: a layer that is mounted, and how many users count on it.
#[derive(Debug)]
struct MountPoint {
    layer: LayerId,
}

impl Row for MountPoint {
    fn from_object(object: &Object) -> Option<Self> {
        Some(Self { layer: object.get("id").and_then(Value::as_str)?.parse().ok()? })
    }

    fn key(&self) -> &str {
        self.layer.as_str()
    }
}

impl Store {
    /// Opens the store: makes the tree where it is missing, removes what dead processes staged and what they left
    /// half made, and deletes our containers of earlier boots, whose files may be incomplete.
    ///
    /// # Errors
    /// A directory or lock cannot be made, or a table cannot be read.
    pub fn open(config: Config) -> Result<Self, StoreError> {
        let (root, runroot) = (config.root.clone(), config.runroot.clone());
        for directory in ["overlay-layers", "overlay-images", "overlay-containers"] {
            create_private(&root.join(directory))?;
        }
        for directory in ["overlay-layers", "overlay-containers"] {
            create_private(&runroot.join(directory))?;
        }
        let options = MountOptions::new(&config.mount_options, config.skip_mount_home);
        let table = |directory: PathBuf, name: &str| (directory.join(format!("{name}.json")), directory);
        let durable = |directory: PathBuf, name: &str| {
            let (path, _) = table(directory, name);
            TableFile { path, durability: Durability::Durable }
        };
        let volatile = |directory: PathBuf, name: &str| {
            let (path, _) = table(directory, name);
            TableFile { path, durability: Durability::Volatile }
        };
        let (layers, images) = (root.join("overlay-layers"), root.join("overlay-images"));
        let (containers, mounts) = (root.join("overlay-containers"), runroot.join("overlay-layers"));
        let wait = config.lock_timeout;
        let shared = Shared {
            overlay: Overlay::open(root.join("overlay"), options)?,
            layers: Table::new(
                layers.join("layers.lock"),
                wait,
                vec![durable(layers.clone(), "layers"), volatile(layers, "volatile-layers")],
            ),
            images: Table::new(images.join("images.lock"), wait, vec![durable(images, "images")]),
            containers: Table::new(
                containers.join("containers.lock"),
                wait,
                vec![durable(containers.clone(), "containers"), volatile(containers, "volatile-containers")],
            ),
            mounts: Table::new(mounts.join("mountpoints.lock"), wait, vec![volatile(mounts, "mountpoints")]),
            boot_id: boot_id()?,
            config,
        };
        let mut store = Self { shared: Arc::new(shared), left_behind: Arc::new([]) };
        store.left_behind = store.collect_garbage()?.into();
        Ok(store)
    }

    /// The configuration it was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// What could not be cleaned up when the store was opened, for the caller to log. The next start tries again.
    #[must_use]
    pub fn left_behind(&self) -> &[StoreError] {
        &self.left_behind
    }

    fn layers_directory(&self) -> PathBuf {
        self.shared.config.root.join("overlay-layers")
    }

    fn tar_split_path(&self, layer: &LayerId) -> PathBuf {
        self.layers_directory().join(format!("{layer}.tar-split.gz"))
    }

    fn image_directory(&self, id: &str) -> PathBuf {
        self.shared.config.root.join("overlay-images").join(id)
    }

    /// The directories of a container: the persistent one and the one below the run root.
    fn container_directories(&self, id: &ContainerId) -> [PathBuf; 2] {
        [&self.shared.config.root, &self.shared.config.runroot]
            .map(|root| root.join("overlay-containers").join(id.as_str()))
    }

    fn on_chown_error(&self) -> OnChownError {
        if self.shared.config.ignore_chown_errors { OnChownError::Ignore } else { OnChownError::Fail }
    }
}

/// The kernel's name for the time since the machine was started.
fn boot_id() -> Result<String, StoreError> {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    let id = std::fs::read_to_string(PATH).map_err(|source| StoreError::file("reading", PATH, source))?;
    Ok(id.trim().to_owned())
}

/// The file name of a data item: its key where that is a plain name, otherwise `=` and the key in base64.
fn big_data_file(key: &str) -> PathBuf {
    let is_plain = key.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit() || byte.is_ascii_lowercase());
    let dots_only = key.bytes().all(|byte| byte == b'.');
    let name = if is_plain && !dots_only { key.to_owned() } else { format!("={}", STANDARD.encode(key)) };
    debug_assert!(!name.as_bytes().contains(&0), "plain keys and base64 have no zero byte");
    Path::new(std::ffi::OsStr::from_bytes(name.as_bytes())).to_owned()
}

#[cfg(test)]
mod tests;
