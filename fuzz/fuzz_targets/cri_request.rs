//! CRI requests: protobuf, then the checks that turn them into domain types. The first byte picks the message.
//!
//! Oracle: encoding is stable; host names, log paths and limits keep their promises; a status gives back what was asked for.
#![no_main]

use crio_cri_api::v1;
use libfuzzer_sys::fuzz_target;
use prost::Message;

#[path = "../../crates/front/cri-server/src/convert"]
#[expect(dead_code, reason = "a target uses a part of what it includes")]
mod convert {
    pub(crate) mod container;
    pub(crate) mod field;
    pub(crate) mod image;
    pub(crate) mod mount;
    pub(crate) mod namespace;
    pub(crate) mod resources;
    pub(crate) mod sandbox;
    pub(crate) mod security;
    pub(crate) mod signal;
}
mod cri;

fn decoded<T: Message + Default + PartialEq>(bytes: &[u8]) -> Option<T> {
    let message = T::decode(bytes).ok()?;
    assert!(T::decode(message.encode_to_vec().as_slice()).as_ref() == Ok(&message), "encoding is not stable");
    Some(message)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, bytes) = input;
    match kind % 4 {
        0 => decoded(bytes).map(cri::run_pod_sandbox),
        1 => decoded(bytes).map(cri::create_container),
        2 => decoded(bytes).map(cri::update_resources),
        _ => decoded::<v1::PullImageRequest>(bytes).map(cri::pull_image),
    };
});
