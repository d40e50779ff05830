//! What images and containers take on the disk.

use std::collections::HashSet;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use crio_types::{ContainerId, ImageId, LayerId};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Store;
use crate::error::StoreError;

/// Directories the walk holds open at once; deeper ones are not counted.
const DEPTH_LIMIT: usize = 256;

/// Bytes of a block in `st_blocks`.
const BLOCK_BYTES: u64 = 512;

/// Space in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes on disk.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

impl Store {
    /// Inodes that [`Store::container_usage`] visits at most.
    pub const USAGE_INODES: u64 = 1_000_000;

    /// Size of an image in bytes, as CRI reports it: its layers uncompressed, and its data items.
    ///
    /// # Errors
    /// The image is unknown, or a table cannot be read.
    pub fn image_size_bytes(&self, id: &ImageId) -> Result<u64, StoreError> {
        let image = self.image(id)?.ok_or_else(|| StoreError::ImageUnknown(id.clone()))?;
        let layers = self.shared.layers.read()?;
        let mut size: u64 = image.big_data.values().sum();
        let mut seen: HashSet<&LayerId> = HashSet::new();
        for top in image.top_layer.iter().chain(&image.mapped_top_layers) {
            let mut next = layers.get(top.as_str());
            while let Some(layer) = next.filter(|layer| seen.insert(&layer.id)) {
                size += layer.diff_size_bytes.unwrap_or(0);
                next = layer.parent.as_ref().and_then(|parent| layers.get(parent.as_str()));
            }
        }
        Ok(size)
    }

    /// What all images take: recorded sizes of their layers, each counted once, and their data items. Inodes are not
    /// counted: see [`Store::layer_inodes`].
    ///
    /// # Errors
    /// A table changed and cannot be read.
    pub fn images_usage(&self) -> Result<Usage, StoreError> {
        let layers: u64 = self.shared.layers.read()?.rows.iter().filter_map(|layer| layer.diff_size_bytes).sum();
        let items: u64 = self.images()?.iter().flat_map(|image| image.big_data.values()).sum();
        Ok(Usage { bytes: layers + items, inodes: 0 })
    }

    /// The layers of images. They never change once they are listed.
    ///
    /// # Errors
    /// The table changed and cannot be read.
    pub fn image_layers(&self) -> Result<Vec<LayerId>, StoreError> {
        let layers = self.shared.layers.read()?;
        let of_image = layers.rows.iter().filter(|layer| layer.diff_digest.is_some());
        Ok(of_image.map(|layer| layer.id.clone()).collect())
    }

    /// How many inodes a layer takes: a walk that visits at most [`Store::USAGE_INODES`].
    ///
    /// # Errors
    /// The layer is gone, or cannot be read.
    pub fn layer_inodes(&self, id: &LayerId) -> Result<u64, StoreError> {
        let diff = self.shared.overlay.diff(id);
        let usage = walk(&diff, Self::USAGE_INODES).map_err(|source| StoreError::file("measuring", diff, source))?;
        Ok(usage.inodes)
    }

    /// What a container wrote: a walk over its read-write layer that visits at most [`Store::USAGE_INODES`] inodes.
    ///
    /// # Errors
    /// The container is unknown, or its layer cannot be read.
    pub fn container_usage(&self, id: &ContainerId) -> Result<Usage, StoreError> {
        let container = self.container(id)?.ok_or_else(|| StoreError::ContainerUnknown(id.clone()))?;
        let diff = self.shared.overlay.diff(&container.layer);
        walk(&diff, Self::USAGE_INODES).map_err(|source| StoreError::file("measuring", diff, source))
    }
}

/// Adds up a tree. What vanishes while it is walked is not counted.
fn walk(top: &Path, inode_limit: u64) -> io::Result<Usage> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |parent: &OwnedFd, name: &CString| rustix::fs::openat(parent, name.as_c_str(), flags, Mode::empty());
    let top = rustix::fs::openat(CWD, top, flags, Mode::empty())?;
    let mut usage = Usage { bytes: rustix::fs::fstat(&top)?.st_blocks as u64 * BLOCK_BYTES, inodes: 1 };
    let mut linked: HashSet<u64> = HashSet::new();
    let mut levels = vec![(Dir::read_from(&top)?, top)];
    while let Some((entries, directory)) = levels.last_mut() {
        let Some(entry) = entries.next() else {
            levels.pop();
            continue;
        };
        let name = entry?.file_name().to_owned();
        if name.as_c_str() == c"." || name.as_c_str() == c".." {
            continue;
        }
        let stat = match rustix::fs::statat(&*directory, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            outcome => outcome?,
        };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !is_directory && stat.st_nlink > 1 && !linked.insert(stat.st_ino) {
            continue;
        }
        usage.bytes += stat.st_blocks as u64 * BLOCK_BYTES;
        usage.inodes += 1;
        if usage.inodes >= inode_limit {
            break;
        }
        if is_directory
            && levels.len() < DEPTH_LIMIT
            && let Some((_, directory)) = levels.last()
            && let Ok(below) = open(directory, &name)
        {
            levels.push((Dir::read_from(&below)?, below));
        }
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_links_count_once_and_the_walk_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("d")).unwrap();
        std::fs::write(directory.path().join("d/file"), vec![1; 100_000]).unwrap();
        std::fs::hard_link(directory.path().join("d/file"), directory.path().join("link")).unwrap();
        let usage = walk(directory.path(), 100).unwrap();
        assert_eq!(usage.inodes, 3);
        assert!((100_000..150_000).contains(&usage.bytes), "{usage:?}");
        assert_eq!(walk(directory.path(), 2).unwrap().inodes, 2);
    }
}
