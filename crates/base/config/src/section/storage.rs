//! `[crio]`: where images, containers and logs live, and what a restart may wipe.

use std::path::PathBuf;

use super::{option, section};
use crate::codec::{AbsolutePath, AnyPath, List, Optional, StorageOption, Switch, Word, words};

words! {
    /// How layers become a root file system.
    StorageDriver {
        /// Overlay mounts.
        Overlay = "overlay",
    }
}

section! {
    /// `[crio]`.
    Storage {
        /// Directory of images, layers and containers, in the layout of containers/storage and shared with podman,
        /// skopeo and buildah. `graphroot` of storage.conf is its default.
        root: PathBuf as AbsolutePath = "/var/lib/containers/storage".into()
            => option().flag("root").short('r').env(&["CONTAINER_ROOT"]);
        /// Directory of storage state that a reboot clears. `runroot` of storage.conf is its default.
        runroot: PathBuf as AbsolutePath = "/run/containers/storage".into()
            => option().flag("runroot").env(&["CONTAINER_RUNROOT"]);
        /// Directory for images that is separate from that of containers.
        imagestore: Option<PathBuf> as Optional<AbsolutePath> = None
            => option().flag("imagestore").env(&["CONTAINER_IMAGESTORE"]).accepted();
        /// Storage driver. `driver` of storage.conf is its default; empty means overlay.
        storage_driver: Option<StorageDriver> as Optional<Word> = None
            => option().flag("storage-driver").short('s').env(&["CONTAINER_STORAGE_DRIVER"]);
        /// Options of the storage driver. Later files add to the options of earlier ones.
        storage_option: Vec<String> as List<StorageOption> = Vec::new()
            => option().flag("storage-opt").env(&["CONTAINER_STORAGE_OPT"]).appends();
        /// Directory of container logs for pods that name none.
        log_dir: PathBuf as AbsolutePath = "/var/log/crio/pods".into()
            => option().flag("log-dir").env(&["CONTAINER_LOG_DIR"]);
        /// File that tells a restart from a reboot: it is gone after a reboot, and then containers are wiped.
        version_file: PathBuf as AbsolutePath = "/var/run/crio/version".into()
            => option().flag("version-file").env(&["CONTAINER_VERSION_FILE"]).accepted();
        /// File that remembers the version across reboots. When it is set, an upgrade to another minor version wipes images.
        version_file_persist: Option<PathBuf> as Optional<AbsolutePath> = None
            => option().flag("version-file-persist").env(&["CONTAINER_VERSION_FILE_PERSIST"]).accepted();
        /// File whose absence at start means that the last shutdown was not clean.
        clean_shutdown_file: Option<PathBuf> as Optional<AnyPath> = Some("/var/lib/crio/clean.shutdown".into())
            => option().flag("clean-shutdown-file").env(&["CONTAINER_CLEAN_SHUTDOWN_FILE"]).accepted();
        /// Whether the daemon itself wipes containers after a reboot.
        internal_wipe: bool as Switch = true
            => option().flag("internal-wipe").env(&["CONTAINER_INTERNAL_WIPE"]).deprecated("the daemon always wipes what a reboot left");
        /// Whether the storage is checked, and repaired where it can be, after an unclean shutdown.
        internal_repair: bool as Switch = true
            => option().flag("internal-repair").env(&["CONTAINER_INTERNAL_REPAIR"]).accepted();
    }
}
