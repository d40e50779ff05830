//! The messages of Kubernetes' channel protocols: a channel number and bytes.
//!
//! In binary protocols the first byte is the channel; in base64 protocols the first character is its digit and the rest
//! is encoded. From version 5 on the first byte 255 says that the client is done with the channel in the second, and there
//! is nothing else in the message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;

pub use crate::protocol::Encoding;

/// The first byte of a message that closes a channel.
const CLOSE: u8 = 255;

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// Bytes for a channel.
    Data {
        /// Which channel.
        channel: u8,
        /// The bytes; there may be none.
        bytes: Bytes,
    },
    /// It sends no more on a channel.
    Close {
        /// Which channel.
        channel: u8,
    },
}

/// A message that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The first character is no digit.
    #[error("a message begins with no channel")]
    Channel,
    /// The rest is not base64.
    #[error("a message is not base64")]
    Base64,
    /// It closes no channel, or more than that.
    #[error("a closing message has {length} bytes instead of 2")]
    Close {
        /// Its length.
        length: usize,
    },
}

/// Reads a message; an empty one says nothing. `closes` is whether the protocol can close channels.
///
/// # Errors
/// It follows no rule.
pub fn decode(encoding: Encoding, closes: bool, message: &Bytes) -> Result<Option<ClientMessage>, MessageError> {
    let Some(&first) = message.first() else { return Ok(None) };
    match encoding {
        Encoding::Binary if closes && first == CLOSE => match message[..] {
            [_, channel] => Ok(Some(ClientMessage::Close { channel })),
            _ => Err(MessageError::Close { length: message.len() }),
        },
        Encoding::Binary => Ok(Some(ClientMessage::Data { channel: first, bytes: message.slice(1..) })),
        Encoding::Base64 => {
            let channel = first.checked_sub(b'0').filter(|digit| *digit <= 9).ok_or(MessageError::Channel)?;
            let bytes = STANDARD.decode(&message[1..]).map_err(|_| MessageError::Base64)?;
            Ok(Some(ClientMessage::Data { channel, bytes: bytes.into() }))
        }
    }
}

/// Writes a message.
pub(crate) fn encode(encoding: Encoding, channel: u8, bytes: &[u8]) -> Message {
    match encoding {
        Encoding::Binary => Message::binary([&[channel], bytes].concat()),
        Encoding::Base64 => {
            let mut text = String::with_capacity(1 + bytes.len().div_ceil(3) * 4);
            text.push(char::from(b'0' + channel));
            STANDARD.encode_string(bytes, &mut text);
            Message::text(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(channel: u8, bytes: &'static [u8]) -> Result<Option<ClientMessage>, MessageError> {
        Ok(Some(ClientMessage::Data { channel, bytes: Bytes::from_static(bytes) }))
    }

    #[test]
    fn messages_are_read_as_the_protocol_has_them() {
        use Encoding::{Base64, Binary};
        let close = Ok(Some(ClientMessage::Close { channel: 0 }));
        let cases: [(Encoding, bool, &'static [u8], _); 13] = [
            (Binary, false, b"", Ok(None)),
            (Binary, false, b"\0", data(0, b"")),
            (Binary, false, b"\0hi\xff", data(0, b"hi\xff")),
            (Binary, false, b"\xff\0", data(255, b"\0")),
            (Binary, true, b"\xff\0", close),
            (Binary, true, b"\xff", Err(MessageError::Close { length: 1 })),
            (Binary, true, b"\xff\0\0", Err(MessageError::Close { length: 3 })),
            (Base64, false, b"", Ok(None)),
            (Base64, false, b"0aGk=", data(0, b"hi")),
            (Base64, false, b"4", data(4, b"")),
            (Base64, false, b"xaGk=", Err(MessageError::Channel)),
            (Base64, false, b"\0aGk=", Err(MessageError::Channel)),
            (Base64, false, b"0aGk", Err(MessageError::Base64)),
        ];
        for (encoding, closes, message, expected) in cases {
            assert_eq!(decode(encoding, closes, &Bytes::from_static(message)), expected, "{encoding:?} {message:?}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        for encoding in [Encoding::Binary, Encoding::Base64] {
            let message = encode(encoding, 2, b"some \0 bytes");
            assert_eq!(message.is_text(), encoding == Encoding::Base64);
            assert_eq!(decode(encoding, false, &message.into_data()), data(2, b"some \0 bytes"));
        }
    }
}
