//! Image references and digests, as requests, manifests and registries.conf spell them.
//!
//! Oracle: the normal form is a fixed point, and holds only characters that a URL path takes as they are.
#![no_main]

use crio_image::{Digest, Reference};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text, "a digest has one spelling");
    }
    let Ok(reference) = Reference::parse(text) else { return };
    let spelled = reference.to_string();
    assert_eq!(Reference::parse(&spelled).as_ref(), Ok(&reference), "the normal form of {text:?}");
    assert!(
        spelled.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:@[]".contains(&byte)),
        "{spelled:?} would change a URL"
    );
    assert!(spelled.split('/').all(|part| !matches!(part, "" | "." | "..")), "{spelled:?} climbs");
    let pinned = reference.pinned_down();
    assert_eq!(pinned.pinned_down(), pinned);
    assert_eq!(pinned.version(), reference.version());
});
