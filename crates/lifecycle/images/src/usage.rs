//! What images and containers occupy.

use std::path::Path;

use crio_storage::Usage;
use crio_types::{FilesystemUsage, Timestamp};

/// Use of the file systems that hold images and writable layers (CRI `ImageFsInfo`). Both parts are always present,
/// because kubelet indexes the first element of each list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFilesystems {
    /// Where images are.
    pub images: FilesystemUsage,
    /// Where writable layers are.
    pub containers: FilesystemUsage,
}

impl ImageFilesystems {
    /// Both parts for a store at `root`. They name the same directory, as CRI-O does: different ones would make
    /// kubelet treat images and containers as two disks.
    pub(crate) fn new(root: &Path, usage: Usage) -> Self {
        let images = FilesystemUsage {
            timestamp: Timestamp::now(),
            mountpoint: root.join("overlay-images").to_string_lossy().into_owned(),
            used_bytes: usage.bytes,
            inodes_used: usage.inodes,
        };
        Self { containers: images.clone(), images }
    }
}
