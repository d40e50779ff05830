//! What CNI plugins answer.
//!
//! Oracle: addresses come once each, and come back from a result that was written again, as the cache does.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/engine/network/src/cni/result.rs"]
mod result;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = result::parse(bytes) else { return };
    let Ok(addresses) = result::addresses(&document) else { return };
    assert!(addresses.len() <= 64);
    let text = serde_json::to_vec(&document).expect("JSON values always serialise");
    let again = result::parse(&text).expect("our own JSON");
    assert_eq!(result::addresses(&again).ok(), Some(addresses));
});
