//! Where a checkpoint lies while it is written.

use std::fs::Permissions;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;

use crio_checkpoint::ROOTFS_DIFF;

use crate::PodError;
use crate::context::Context;
use crate::record::ContainerRecord;

/// The directory of a checkpoint that is being written, in the container's own: it goes with the container at the latest.
#[derive(Debug, Clone)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn of(context: &Context, record: &ContainerRecord) -> Self {
        Self(context.engines.store.container_dir(&record.id).join("checkpoint-being-written"))
    }

    pub(super) fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    pub(super) fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    pub(super) fn diff(&self) -> PathBuf {
        self.0.join(ROOTFS_DIFF)
    }

    pub(super) fn make(&self) -> Result<(), PodError> {
        self.remove()?;
        for directory in [self.images(), self.work()] {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
            made.map_err(PodError::file("creating", &directory))?;
        }
        std::fs::set_permissions(&self.0, Permissions::from_mode(0o700)).map_err(PodError::file("closing", &self.0))
    }

    pub(super) fn remove(&self) -> Result<(), PodError> {
        crio_sys::confined::remove_tree(&self.0).map_err(PodError::file("removing", &self.0))
    }
}
