//! The JSON tables of the store, which podman and others write too. Run it in a mount namespace of its own (README.md).
//!
//! Oracle: opening a store, which collects garbage by what its tables say, changes nothing outside it.
#![no_main]

use std::fs;

use crio_storage::{Config, Store};
use libfuzzer_sys::fuzz_target;

const TABLES: [&str; 5] = [
    "root/overlay-layers/layers.json",
    "root/overlay-images/images.json",
    "root/overlay-containers/containers.json",
    "root/overlay-containers/volatile-containers.json",
    "run/overlay-layers/mountpoints.json",
];

fuzz_target!(|input: (u8, &[u8])| {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("canary"), "sings").expect("the canary");
    let table = directory.path().join(TABLES[usize::from(input.0) % TABLES.len()]);
    fs::create_dir_all(table.parent().expect("a table is in a directory")).expect("the table's directory");
    fs::write(table, input.1).expect("the table");
    let mut config = Config::new(directory.path().join("root"), directory.path().join("run"));
    config.skip_mount_home = true;
    if let Ok(store) = Store::open(config) {
        for image in store.images().iter().flat_map(|images| images.iter()) {
            let _size = store.image_size_bytes(&image.id);
        }
        let _containers = store.containers();
    }
    assert_eq!(fs::read(directory.path().join("canary")).expect("the canary"), b"sings");
});
