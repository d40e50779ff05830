//! What the composition root tells this engine: where the store lies and how it mounts.

use std::path::PathBuf;
use std::time::Duration;

/// A store and how to use it. Plain data; the composition root fills it from `crio.conf` and `storage.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The graph root: `/var/lib/containers/storage`.
    pub root: PathBuf,
    /// The run root, on a tmpfs: `/run/containers/storage`.
    pub runroot: PathBuf,
    /// Options of every overlay mount (`overlay.mountopt`, split at commas), as `nodev` or `metacopy=on`.
    pub mount_options: Vec<String>,
    /// Do not make `<root>/overlay` a private mount (`overlay.skip_mount_home`). Podman makes it one; without it a mount
    /// made there later hides the containers mounted before.
    pub skip_mount_home: bool,
    /// Leave files owned by root when the file system refuses a chown (`overlay.ignore_chown_errors`).
    pub ignore_chown_errors: bool,
    /// How long to wait for a lock that another program holds.
    pub lock_timeout: Duration,
}

impl Config {
    /// How long to wait for another program's lock, unless configured: podman holds the layers' lock while it unpacks.
    pub const LOCK_TIMEOUT: Duration = Duration::from_secs(120);

    /// A store at these directories with default options.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, runroot: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            runroot: runroot.into(),
            mount_options: Vec::new(),
            skip_mount_home: false,
            ignore_chown_errors: false,
            lock_timeout: Self::LOCK_TIMEOUT,
        }
    }
}

/// What one layer may ask of us before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyLimits {
    /// Entries in the archive.
    pub entries: u64,
    /// Bytes of the uncompressed archive.
    pub archive_bytes: u64,
    /// Bytes of one path or link target.
    pub path_bytes: usize,
    /// Bytes of one entry's extended header.
    pub header_bytes: usize,
    /// Regions of one sparse file.
    pub sparse_regions: usize,
}

impl Default for ApplyLimits {
    fn default() -> Self {
        Self {
            entries: 20_000_000,
            archive_bytes: 1 << 40,
            path_bytes: 4096,
            header_bytes: 1 << 20,
            sparse_regions: 1 << 16,
        }
    }
}
