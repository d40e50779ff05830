//! registries.conf, and the names it leads elsewhere.
//!
//! Oracle: every candidate and every endpoint is a reference in normal form.
#![no_main]

use crio_image::{Reference, Registries};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 5] = ["busybox", "team/app:1", "localhost:5000/a", "a.example.com/b/c:2", "docker.io/library/x"];

fuzz_target!(|text: &str| {
    let Ok(registries) = Registries::parse(text) else { return };
    let check = |reference: &Reference| {
        assert_eq!(Reference::parse(&reference.to_string()).as_ref(), Ok(reference));
    };
    for name in NAMES {
        registries.local_candidates(name).iter().for_each(check);
        for candidate in registries.candidates(name).unwrap_or_default() {
            check(&candidate);
            for endpoint in registries.endpoints(&candidate).unwrap_or_default() {
                check(&endpoint.reference);
            }
        }
    }
});
