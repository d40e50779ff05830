//! Messages of the WebSocket channel protocols, in every encoding. The first byte picks the protocol.
//!
//! Oracle: what was understood is all of the message and nothing else.
#![no_main]

use bytes::Bytes;
use crio_streaming::{ClientMessage, Encoding, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (protocol, bytes) = input;
    let encoding = if protocol & 1 == 0 { Encoding::Binary } else { Encoding::Base64 };
    let closes = protocol & 2 != 0;
    match decode(encoding, closes, &Bytes::copy_from_slice(bytes)) {
        Ok(None) => assert!(bytes.is_empty()),
        Ok(Some(ClientMessage::Close { channel })) => {
            assert!(closes && encoding == Encoding::Binary);
            assert_eq!(bytes, [255, channel]);
        }
        Ok(Some(ClientMessage::Data { channel, bytes: data })) if encoding == Encoding::Binary => {
            assert_eq!((channel, &data[..]), (bytes[0], &bytes[1..]));
            assert!(!closes || channel != 255);
        }
        Ok(Some(ClientMessage::Data { channel, bytes: data })) => {
            use base64::Engine as _;
            assert_eq!(channel, bytes[0] - b'0');
            assert_eq!(base64::engine::general_purpose::STANDARD.encode(data).as_bytes(), &bytes[1..]);
        }
        Err(_) => assert!(encoding == Encoding::Base64 || (closes && bytes[0] == 255)),
    }
});
