//! A store with a canary beside it, made once a thread. Not a target.

use std::cell::LazyCell;
use std::fs;
use std::os::unix::fs::MetadataExt;

use crio_storage::{Config, Store};

/// The store and what lies around it.
pub(crate) struct Place {
    pub(crate) store: Store,
    directory: tempfile::TempDir,
    canary: (u64, i64, i64),
}

thread_local!(static PLACE: LazyCell<Place> = const { LazyCell::new(Place::new) });

/// Gives `check` this thread's store.
pub(crate) fn with(check: impl FnOnce(&Place)) {
    PLACE.with(|place| check(place));
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::write(directory.path().join("canary"), "sings").expect("the canary");
        let mut config = Config::new(directory.path().join("root"), directory.path().join("run"));
        config.skip_mount_home = true;
        let store = Store::open(config).expect("an empty store");
        Self { store, canary: canary(&directory), directory }
    }

    /// The canary is untouched, to the nanosecond of its last change, and has no new neighbours.
    pub(crate) fn check_outside(&self) {
        assert_eq!(canary(&self.directory), self.canary, "something outside changed");
        let neighbours = fs::read_dir(self.directory.path()).expect("the directory").count();
        assert_eq!(neighbours, 3, "something outside was made or removed");
    }
}

fn canary(directory: &tempfile::TempDir) -> (u64, i64, i64) {
    let metadata = fs::symlink_metadata(directory.path().join("canary")).expect("the canary lives");
    (metadata.nlink(), metadata.ctime(), metadata.ctime_nsec())
}
