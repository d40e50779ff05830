//! policy.json: whether an image may be used.
//!
//! Oracle: a policy that nowhere says `insecureAcceptAnything` lets nothing through, since nothing verifies signatures.
#![no_main]

use crio_image::{Policy, Reference};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 4] = ["busybox", "quay.io/a/b:1", "a.b.example.com/c", "localhost:5000/d"];

fuzz_target!(|bytes: &[u8]| {
    let Ok(policy) = serde_json::from_slice::<Policy>(bytes) else { return };
    // Written again, so that no escape hides the word. What is nested too deep for that is not decided here.
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let may_accept = value.to_string().contains("\"insecureAcceptAnything\"");
    for name in NAMES {
        let reference = Reference::parse(name).expect("a fixed name is a reference");
        let allowed = policy.check(&reference).is_ok();
        assert!(may_accept || !allowed, "{name} is let through without a word");
    }
});
