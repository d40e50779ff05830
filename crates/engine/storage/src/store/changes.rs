//! A container's changes to its root: taken out of one container, put into another.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use crio_sys::confined::{Root, remove_entry};
use crio_types::{Classified, ContainerId, ErrorKind};

use super::Store;
use crate::apply;
use crate::changes::{self, Changes, Layers};
use crate::config::ApplyLimits;
use crate::error::{ApplyError, StoreError};

/// Changes that could not be put into a container. What was done of them stays done.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The container, or its root.
    #[error("the container's root cannot be used")]
    Store(#[source] StoreError),
    /// The archive, or making what it holds.
    #[error("unpacking the archive of changes")]
    Apply(#[source] ApplyError),
    /// A name to take away is no path in the root.
    #[error("{0:?} is no path in the root")]
    BadPath(PathBuf),
    /// Something could not be taken away.
    #[error("removing {path:?} from the root")]
    Remove {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Classified for ImportError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            // Whoever wrote the archive asked for what cannot be made.
            Self::Apply(ApplyError::Entry { .. }) | Self::BadPath(_) => ErrorKind::InvalidArgument,
            Self::Apply(error) => error.kind(),
            Self::Remove { .. } => ErrorKind::Internal,
        }
    }
}

impl Store {
    /// Writes what a mounted container changed in its root as an archive, and lists what it took away. Whoever wants one
    /// moment of it keeps the container's processes from running meanwhile.
    ///
    /// # Errors
    /// The container is unknown, its files cannot be read, or `sink` failed.
    pub fn export_changes(&self, id: &ContainerId, sink: impl Write) -> Result<Changes, StoreError> {
        let container = self.container(id)?.ok_or_else(|| StoreError::ContainerUnknown(id.clone()))?;
        let overlay = &self.shared.overlay;
        let layers = Layers {
            own: overlay.diff(&container.layer),
            below: overlay.lowers(&container.layer, overlay.home())?,
            merged: overlay.merged(&container.layer),
        };
        let exported = changes::export(&layers, sink);
        exported.map_err(|source| StoreError::Changes { path: layers.own, source })
    }

    /// Unpacks an archive of changes into a mounted container's root. Nothing outside is reached, whatever names and
    /// links the archive and the root hold.
    ///
    /// # Errors
    /// The archive is bad, over a limit, or cannot be unpacked.
    pub fn import_changes(
        &self,
        id: &ContainerId,
        archive: impl Read,
        limits: &ApplyLimits,
    ) -> Result<(), ImportError> {
        let merged = self.merged_root(id)?;
        let root = File::open(merged).map_err(|error| ImportError::Apply(ApplyError::Staging(error)))?;
        // The archive need not be written again, so what that would take is not kept.
        let nowhere = File::options().write(true).open("/dev/null");
        let nowhere = nowhere.map_err(|error| ImportError::Apply(ApplyError::TarSplit(error)))?;
        let applied = apply::apply(archive, OwnedFd::from(root), nowhere, limits, self.on_chown_error());
        applied.map(drop).map_err(ImportError::Apply)
    }

    /// Takes paths out of a mounted container's root, with what is below them. One that is not there is fine.
    ///
    /// # Errors
    /// A path is not absolute, climbs, or is the root; or it cannot be removed.
    pub fn remove_paths(&self, id: &ContainerId, paths: &[PathBuf]) -> Result<(), ImportError> {
        let merged = self.merged_root(id)?;
        let root =
            Root::open(&merged).map_err(|source| ImportError::Store(StoreError::file("opening", &merged, source)))?;
        for path in paths {
            let (parent, name) = split(path).ok_or_else(|| ImportError::BadPath(path.clone()))?;
            let removed = match root.open_directory(parent) {
                Ok(directory) => remove_entry(&directory, name),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
                Err(error) => Err(error),
            };
            removed.map_err(|source| ImportError::Remove { path: path.clone(), source })?;
        }
        Ok(())
    }

    fn merged_root(&self, id: &ContainerId) -> Result<PathBuf, ImportError> {
        let container = self.container(id).map_err(ImportError::Store)?;
        let container = container.ok_or_else(|| ImportError::Store(StoreError::ContainerUnknown(id.clone())))?;
        let merged = self.shared.overlay.merged(&container.layer);
        match crio_sys::mount::is_mount_point(&merged) {
            Ok(true) => Ok(merged),
            Ok(false) => Err(ImportError::Store(StoreError::file("opening", merged, io::ErrorKind::NotFound))),
            Err(source) => Err(ImportError::Store(StoreError::file("examining", merged, source))),
        }
    }
}

/// The directory and the name of an absolute path of plain words.
fn split(path: &Path) -> Option<(&Path, &std::ffi::OsStr)> {
    let mut words = path.components();
    let is_plain = words.next() == Some(Component::RootDir) && words.all(|word| matches!(word, Component::Normal(_)));
    if is_plain { path.parent().zip(path.file_name()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_paths_are_taken_away() {
        for (path, expected) in [
            ("/a", Some(("/", "a"))),
            ("/a/b", Some(("/a", "b"))),
            ("/", None),
            ("", None),
            ("a/b", None),
            ("/a/../b", None),
            ("/..", None),
        ] {
            let expected = expected.map(|(parent, name)| (Path::new(parent), std::ffi::OsStr::new(name)));
            assert_eq!(split(Path::new(path)), expected, "{path}");
        }
    }
}
