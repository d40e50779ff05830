//! Why a connection ended other than as agreed.

use std::io;
use std::time::Duration;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The transport could not be read.
    #[error("cannot read from the client")]
    Read {
        /// Why.
        source: io::Error,
    },
    /// The transport could not be written.
    #[error("cannot write to the client")]
    Write {
        /// Why.
        source: io::Error,
    },
    /// The client left in the middle of a frame.
    #[error("the connection ended within a frame")]
    Truncated,
    /// The client sent what it must not. It was told so with a GOAWAY.
    #[error("the client broke the protocol")]
    Protocol {
        /// How.
        source: ProtocolError,
    },
    /// Nothing moved for as long as [`crate::Limits::idle_timeout`].
    #[error("nothing was sent or received for {limit:?}")]
    Idle {
        /// The limit.
        limit: Duration,
    },
}

/// What a client must not send. These end the connection; what concerns one stream only resets that stream.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// A control frame of another version.
    #[error("a control frame has version {version}, not 3")]
    Version {
        /// Its version.
        version: u16,
    },
    /// A control frame whose length its kind does not allow.
    #[error("a control frame of kind {kind} has {length} bytes")]
    Length {
        /// Its kind, as on the wire.
        kind: u16,
        /// Its length in bytes, without the head.
        length: usize,
    },
    /// A frame that needs a stream names none.
    #[error("a frame of stream 0")]
    StreamZero,
    /// A header block that is no part of the compressed stream.
    #[error("a header block cannot be decompressed")]
    Compression {
        /// Why, if the decompressor knows.
        source: Option<flate2::DecompressError>,
    },
    /// A header block that is longer than [`crate::Limits::max_header_block_bytes`].
    #[error("a header block is over the limit of {limit} bytes")]
    HeaderBlock {
        /// The limit in bytes.
        limit: usize,
    },
}
