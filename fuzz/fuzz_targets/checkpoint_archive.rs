//! A checkpoint archive, taken apart. It is marked as ours first, as by an administrator who was led to do so: needs root.
//!
//! Oracle: nothing is written but files of plain names in the one directory.
#![no_main]

use std::time::{Duration, Instant};

use crio_checkpoint::{Checkpoint, Patience, ReadError, mark};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let place = tempfile::tempdir().expect("a directory");
    let (archive, images) = (place.path().join("archive"), place.path().join("images"));
    std::fs::write(&archive, bytes).expect("written");
    std::fs::create_dir(&images).expect("made");
    mark::admit(&std::fs::File::open(&archive).expect("opened")).expect("marked");
    let patience = Patience::until(Instant::now() + Duration::from_secs(60));
    if let Ok(checkpoint) = Checkpoint::open(&archive, &patience) {
        let unpacked = checkpoint.unpack(&images, &patience, |root| {
            drop(std::io::copy(root, &mut std::io::sink()));
            Ok::<(), ReadError>(())
        });
        drop(unpacked);
    }
    let mut names: Vec<_> = std::fs::read_dir(place.path()).expect("listed").map(|e| e.expect("read").file_name()).collect();
    names.sort();
    assert_eq!(names, ["archive", "images"]);
    for entry in std::fs::read_dir(&images).expect("listed") {
        assert!(entry.expect("read").file_type().expect("known").is_file());
    }
});
