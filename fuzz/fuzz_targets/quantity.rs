//! Kubernetes quantities, which two parsers read: bandwidth annotations in whole units, manifests of the command line in
//! thousandths.
//!
//! Oracle: where both understand a text they agree, rounded up.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../bin/crio/src/cli/pod/manifest/quantity.rs"]
mod manifest;
#[path = "../../crates/engine/network/src/cni"]
mod cni {
    mod quantity;

    pub(crate) fn parse(text: &str) -> Option<u64> {
        quantity::parse(text)
    }
}

fuzz_target!(|text: &str| {
    if let (Some(bandwidth), Some(whole)) = (cni::parse(text), manifest::whole(text)) {
        assert_eq!(i64::try_from(bandwidth), Ok(whole), "{text:?}");
    }
});
