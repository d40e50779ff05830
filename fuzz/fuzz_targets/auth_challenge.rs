//! `WWW-Authenticate`, by which a registry says where tokens come from.
//!
//! Oracle: a bearer challenge names a realm, and no parameter is longer than the header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

#[path = "../../crates/engine/image/src/registry/challenge.rs"]
mod challenge;

use challenge::Challenge;

fuzz_target!(|bytes: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    if let Some(Challenge::Bearer { realm, service, scope }) = Challenge::choose(&headers) {
        assert!(!realm.is_empty());
        for parameter in [Some(realm), service, scope].into_iter().flatten() {
            assert!(parameter.len() <= bytes.len());
        }
    }
});
