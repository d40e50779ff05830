//! A layer's tar stream, unpacked into a store. Run it in a mount namespace of its own (README.md).
//!
//! Oracle: nothing outside the layer changes, and an archive that was recorded is written again byte for byte.
#![no_main]

use crio_image::Digest;
use crio_storage::{ApplyLimits, Compression, LayerInfo, layer_id};
use libfuzzer_sys::fuzz_target;

mod store;

const LIMITS: ApplyLimits =
    ApplyLimits { entries: 1000, archive_bytes: 1 << 22, path_bytes: 4096, header_bytes: 1 << 16, sparse_regions: 64 };

fuzz_target!(|bytes: &[u8]| store::with(|place| {
    let mut staged = place.store.stage_layer().expect("a staging directory");
    let applied = staged.apply(bytes, &LIMITS);
    place.check_outside();
    if !applied.is_ok_and(|applied| applied.is_reproducible) {
        return;
    }
    let digest = Digest::of(bytes).to_string();
    let info = LayerInfo {
        id: layer_id(None, &digest).expect("a digest"),
        parent: None,
        diff_digest: digest,
        diff_size_bytes: bytes.len() as u64,
        compressed_digest: None,
        compressed_size_bytes: None,
        compression: Compression::None,
    };
    place.store.commit_layer(staged, &info).expect("a commit");
    let mut again = Vec::new();
    place.store.export_layer(&info.id, &mut again).expect("a recorded archive");
    place.store.delete_unused_layers(&info.id).expect("the layer is unused");
    place.check_outside();
    assert!(again == bytes, "the archive came back different");
}));
