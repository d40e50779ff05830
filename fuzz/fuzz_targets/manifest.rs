//! Image manifests and indexes, as registries answer them.
//!
//! Oracle: a document is one kind whatever the content type says, keeps its limits, and means the same after its JSON was
//! written again.
#![no_main]

use crio_image::{DOCKER_LIST, DOCKER_MANIFEST, Document, MAX_INDEX_ENTRIES, MAX_LAYERS, OCI_INDEX, OCI_MANIFEST};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::parse(bytes, None) else { return };
    match &document {
        Document::Manifest(manifest) => assert!((1..=MAX_LAYERS).contains(&manifest.layers.len())),
        Document::Index(index) => assert!(index.manifests.len() <= MAX_INDEX_ENTRIES),
    }
    for content_type in [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, "text/html"] {
        let again = Document::parse(bytes, Some(content_type)).expect("the header refuses nothing");
        assert_eq!(std::mem::discriminant(&again), std::mem::discriminant(&document), "{content_type}");
    }
    // Nesting that this reader skips over can be too deep for a generic one.
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) {
        assert_eq!(Document::parse(value.to_string().as_bytes(), None).as_ref(), Ok(&document));
    }
});
