//! Frames on the wire.
//!
//! ```text
//! control  1 | version, 15 bits | kind, 16 bits      data  0 | stream, 31 bits
//!          flags, 8 bits | length, 24 bits                 flags, 8 bits | length, 24 bits
//!          length bytes                                    length bytes
//! ```
//!
//! Bytes become frames in [`Decoder`] and frames become bytes in [`encode`]; nobody else knows the layout.

pub(crate) mod decode;
pub(crate) mod encode;

use std::fmt;

use bytes::Bytes;

pub(crate) use decode::Decoder;

use crate::header::{BadHeaders, Headers};

/// The version of every control frame.
const VERSION: u16 = 3;
/// The bytes before a frame's payload.
const HEAD_BYTES: usize = 8;
/// The sender is done with the stream.
const FLAG_FIN: u8 = 1;
/// The receiver may not send.
const FLAG_UNIDIRECTIONAL: u8 = 2;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;

/// Which stream of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(u32);

impl StreamId {
    /// No stream.
    pub(crate) const NONE: Self = Self(0);

    /// The first bit of the field is reserved.
    pub(crate) fn from_wire(field: u32) -> Self {
        Self(field & (u32::MAX >> 1))
    }

    /// As a number: odd, since clients open all streams. Without a `requestID`, the error stream of a port-forward pair is two
    /// below its data stream.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    pub(crate) fn is_of_client(self) -> bool {
        self.0 % 2 == 1
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a client says, as far as it concerns us.
#[derive(Debug)]
pub(crate) enum Frame {
    /// It opens a stream.
    SynStream { id: StreamId, headers: Result<Headers, BadHeaders>, is_last: bool, is_one_way: bool },
    /// It answers to a stream that we did not open.
    SynReply { id: StreamId },
    /// It gives up a stream.
    Reset { id: StreamId },
    /// It wants this number back, or gives back one of ours.
    Ping { number: u32 },
    /// It opens no more streams.
    GoAway,
    /// More headers, which nobody reads.
    Headers { id: StreamId, is_last: bool },
    /// A part of a data frame, as much as was there.
    Data { id: StreamId, bytes: Bytes, is_first_part: bool, is_last: bool },
}

/// Why a stream is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum ResetStatus {
    ProtocolError = 1,
    InvalidStream = 2,
    RefusedStream = 3,
    Cancel = 5,
}

/// Why no more streams are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum GoAwayStatus {
    Ok = 0,
    ProtocolError = 1,
}
