//! The messages between the daemon and a pod's monitor, and nothing else.
//!
//! A connection is a `SOCK_SEQPACKET` socket, so one message is one packet: JSON of at most [`MAX_MESSAGE_BYTES`], with at
//! most [`crio_sys::seqpacket::MAX_DESCRIPTORS`] descriptors. What may be larger (a process, a set of limits) travels as
//! a descriptor of a memory file. The client speaks first: [`Call::Hello`] must be the first call of a connection.
//! Every call gets exactly one [`Message::Reply`] with its number; calls of one connection may be answered in any order.
//! Events go to every connection that has said hello.
//!
//! Field names are the wire format: a monitor outlives the daemon that started it, so a newer daemon must still speak to
//! it. A change that an old peer would misread raises [`VERSION`].

mod call;
mod message;

pub use call::{
    AnyRequest, Call, CheckpointFiles, CreateContainer, ExecStreams, Request, RuntimeCommand, SignalScope, Streams,
};
pub use message::{
    Answer, AttachEnd, ContainerEntry, Event, Exit, ExitRecord, Failure, FailureKind, Message, MonitorState,
};

/// The version this crate speaks.
pub const VERSION: u32 = 1;

/// The most bytes of one message.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The most containers one answer to [`Call::List`] names; ask again from the last one for more.
pub const MAX_LIST_ENTRIES: usize = 128;

/// The socket's file name in the pod's directory.
pub const SOCKET_NAME: &str = "monitor.sock";

/// What a monitor answers, as [`FailureKind::InvalidArgument`], to a call that only newer ones know.
pub const UNKNOWN_CALL: &str = "the monitor does not know this call";

/// The suffix of the file, in the pod's directory, that records a container's exit: `<container id>.exit.json`.
pub const EXIT_RECORD_SUFFIX: &str = ".exit.json";

/// A message that could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// It is not JSON of a known form.
    #[error("malformed message")]
    Malformed {
        /// Why.
        source: serde_json::Error,
    },
    /// It is longer than [`MAX_MESSAGE_BYTES`].
    #[error("a message of {length} bytes is over the limit of {MAX_MESSAGE_BYTES}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}

/// Writes a message.
///
/// # Errors
/// It is too long.
pub fn encode<T: serde::Serialize>(message: &T) -> Result<Vec<u8>, CodecError> {
    let bytes = serde_json::to_vec(message).map_err(|source| CodecError::Malformed { source })?;
    if bytes.len() > MAX_MESSAGE_BYTES { Err(CodecError::TooLong { length: bytes.len() }) } else { Ok(bytes) }
}

/// Reads a message.
///
/// # Errors
/// It is malformed.
pub fn decode<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    serde_json::from_slice(bytes).map_err(|source| CodecError::Malformed { source })
}

#[cfg(test)]
mod tests;
