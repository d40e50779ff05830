//! The overlay driver's directories: `overlay/<layer>/{diff,link,lower,work,merged,empty}` and `overlay/l/<link>`.
//!
//! `link` holds the layer's 26-character name, `l/<name>` leads to its `diff`, and `lower` lists the names of all layers
//! below, topmost first, so that a mount needs to read one file. The driver knows nothing of records or locks: its
//! callers hold the layers' lock where a directory appears or disappears.
//!
//! Directories vanish in two steps: under the lock they are renamed into a trash directory, which is emptied later.

mod link;
mod mount;
mod staging;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crio_types::LayerId;

use crate::error::StoreError;

pub use mount::ImageMountOptions;
pub(crate) use mount::{LayerMount, MappedHome, MountOptions};
pub(crate) use staging::{Staging, Trash, prune};

/// Permissions of the root of an image without layers, as containers/storage sets them.
const ROOT_MODE: u32 = 0o555;

/// The driver.
#[derive(Debug)]
pub(crate) struct Overlay {
    home: PathBuf,
    options: MountOptions,
}

impl Overlay {
    /// The driver below this directory, which is made when it is missing.
    pub(crate) fn open(home: PathBuf, options: MountOptions) -> Result<Self, StoreError> {
        for directory in [home.clone(), home.join("l"), home.join("staging")] {
            create_private(&directory)?;
        }
        let overlay = Self { home, options };
        overlay.ensure_home()?;
        Ok(overlay)
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// A layer's directory.
    pub(crate) fn layer(&self, id: &LayerId) -> PathBuf {
        self.home.join(id.as_str())
    }

    /// A layer's own files.
    pub(crate) fn diff(&self, id: &LayerId) -> PathBuf {
        self.layer(id).join("diff")
    }

    /// Where a layer is mounted.
    pub(crate) fn merged(&self, id: &LayerId) -> PathBuf {
        self.layer(id).join("merged")
    }

    /// Makes the read-write layer of a container.
    pub(crate) fn create(&self, id: &LayerId, parent: Option<&LayerId>, trash: &Trash) -> Result<(), StoreError> {
        self.discard(id, trash)?;
        let directory = self.layer(id);
        create_private(&directory)?;
        let made = create_private(&directory.join("diff")).and_then(|()| {
            let name = self.complete(&directory, parent)?;
            self.make_link(&name, id)
        });
        if made.is_err() {
            // The failure to make it is the one to report; the start of the next process removes what is left.
            let _ = self.discard(id, trash);
        }
        made
    }

    /// Adds everything but `diff` to a layer's directory and gives `diff` its root attributes. Returns the link's name.
    pub(crate) fn complete(&self, directory: &Path, parent: Option<&LayerId>) -> Result<String, StoreError> {
        let name = link::random_name().map_err(|source| StoreError::file("naming", directory, source))?;
        let lower = match parent {
            Some(parent) => Some(self.lower_for_child(parent)?),
            None => None,
        };
        self.set_root_attributes(&directory.join("diff"), parent)?;
        write(&directory.join("link"), name.as_bytes())?;
        create_private(&directory.join("work"))?;
        create_private(&directory.join("merged"))?;
        match lower {
            Some(lower) => write(&directory.join("lower"), lower.as_bytes())?,
            None => create_private(&directory.join("empty"))?,
        }
        Ok(name)
    }

    /// Moves a completed directory to its place and makes its link.
    pub(crate) fn publish(&self, staged: &Path, name: &str, id: &LayerId, trash: &Trash) -> Result<(), StoreError> {
        self.discard(id, trash)?;
        self.make_link(name, id)?;
        let target = self.layer(id);
        fs::rename(staged, &target).map_err(|source| StoreError::file("moving a layer to", target, source))?;
        for directory in [self.home.clone(), self.home.join("l")] {
            let synced = fs::File::open(&directory).and_then(|directory| directory.sync_all());
            synced.map_err(|source| StoreError::file("syncing", directory, source))?;
        }
        Ok(())
    }

    /// Takes a layer's directory and link away. A missing one is fine.
    pub(crate) fn discard(&self, id: &LayerId, trash: &Trash) -> Result<(), StoreError> {
        let directory = self.layer(id);
        match fs::read_to_string(directory.join("link")) {
            Ok(name) if link::is_name(name.trim()) => {
                let path = self.home.join("l").join(name.trim());
                missing_is_fine(fs::remove_file(&path)).map_err(|source| StoreError::file("removing", path, source))?;
            }
            _ => {}
        }
        trash.take(&directory)
    }

    /// The contents of `lower` for a layer on top of `parent`.
    fn lower_for_child(&self, parent: &LayerId) -> Result<String, StoreError> {
        let directory = self.layer(parent);
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(|source| (path, source))
        };
        let link = read("link").map_err(|(path, source)| StoreError::file("reading", path, source))?;
        let mut lower = format!("l/{}", link.trim());
        match read("lower") {
            Ok(below) => {
                lower.push(':');
                lower.push_str(below.trim());
            }
            Err((_, error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err((path, source)) => return Err(StoreError::file("reading", path, source)),
        }
        Ok(lower)
    }

    /// The root of a layer has the owner and mode of the layer below it.
    fn set_root_attributes(&self, diff: &Path, parent: Option<&LayerId>) -> Result<(), StoreError> {
        let (mode, uid, gid) = match parent.map(|parent| self.diff(parent)) {
            None => (ROOT_MODE, 0, 0),
            Some(below) => {
                let status = fs::metadata(&below).map_err(|source| StoreError::file("examining", below, source))?;
                (status.mode() & 0o7777, status.uid(), status.gid())
            }
        };
        std::os::unix::fs::chown(diff, Some(uid), Some(gid))
            .and_then(|()| fs::set_permissions(diff, fs::Permissions::from_mode(mode)))
            .map_err(|source| StoreError::file("setting the attributes of", diff, source))
    }

    fn make_link(&self, name: &str, id: &LayerId) -> Result<(), StoreError> {
        let path = self.home.join("l").join(name);
        symlink(format!("../{id}/diff"), &path).map_err(|source| StoreError::file("linking", path, source))
    }

    /// The layers that have a directory, whether recorded or not.
    pub(crate) fn layers(&self) -> Result<Vec<LayerId>, StoreError> {
        let fail = |source| StoreError::file("listing", &self.home, source);
        let mut layers = Vec::new();
        for entry in fs::read_dir(&self.home).map_err(fail)? {
            layers.extend(entry.map_err(fail)?.file_name().to_str().and_then(|name| name.parse().ok()));
        }
        Ok(layers)
    }
}

/// Makes a directory only root may enter, and those above it. An existing one stays as it is.
pub(crate) fn create_private(path: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StoreError::file("creating", path, source))
}

pub(crate) fn missing_is_fine(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn write(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    fs::write(path, contents).map_err(|source| StoreError::file("writing", path, source))
}
