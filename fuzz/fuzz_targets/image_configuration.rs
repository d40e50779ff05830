//! Image configurations, as registries answer them: what a pull reads, and the user they name.
//!
//! Oracle: there are exactly as many diffs as layers were announced.
#![no_main]

use crio_images::ImageUser;
use libfuzzer_sys::fuzz_target;

mod digest {
    pub(crate) use crio_image::Digest;
}
#[path = "../../crates/engine/image/src/configuration.rs"]
mod configuration;

fuzz_target!(|input: (u8, &[u8])| {
    let (layers, bytes) = (usize::from(input.0 % 4), input.1);
    if let Ok(diffs) = configuration::diff_ids(bytes, layers) {
        assert_eq!(diffs.len(), layers);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(ImageUser::parse(text).is_none(), text.split(':').next() == Some(""));
    }
});
