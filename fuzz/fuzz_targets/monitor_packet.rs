//! Packets between the daemon and a monitor, read by either side, and the exit record on disk.
//!
//! Oracle: what was understood is the same after it was written again, and a request can be refused by its number.
#![no_main]

use crio_monitor_protocol::{AnyRequest, ExitRecord, MAX_MESSAGE_BYTES, Message, Request, decode, encode};
use libfuzzer_sys::fuzz_target;

fn round_trip<T>(bytes: &[u8]) -> Option<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let message: T = decode(bytes).ok()?;
    // Written out, a message can be longer than it came: numbers and escapes have shorter spellings.
    if let Ok(written) = encode(&message) {
        assert!(written.len() <= MAX_MESSAGE_BYTES);
        assert_eq!(decode::<T>(&written).expect("our own message"), message);
    }
    Some(message)
}

fuzz_target!(|bytes: &[u8]| {
    if let Some(request) = round_trip::<Request>(bytes) {
        let any: AnyRequest = decode(bytes).expect("a request has a number");
        assert_eq!(any.number, request.number);
    }
    round_trip::<Message>(bytes);
    round_trip::<ExitRecord>(bytes);
});
