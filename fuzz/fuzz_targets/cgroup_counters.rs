//! The counter files of cgroups.
//!
//! Oracle: one field is the first of that name among all fields.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/engine/cgroups/src/counter/parse.rs"]
mod parse;

fuzz_target!(|bytes: &[u8]| {
    let _pressure = parse::pressure(bytes);
    assert!(parse::limit(bytes).is_none_or(|limit| parse::number(bytes) == Some(limit)));
    if let Some((key, value)) = parse::fields(bytes).next() {
        assert_eq!(parse::field(bytes, key), Some(value));
    }
});
