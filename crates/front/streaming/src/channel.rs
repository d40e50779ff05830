//! The streams between us and a client, whatever carries them.
//!
//! Over SPDY each is a stream of its own; over WebSocket all share one connection, and a task on our side sorts
//! messages to and from these ends through short queues, which is where a slow reader is felt.

use bytes::{Bytes, BytesMut};
use crio_spdy::{ReadHalf, Stream, WriteHalf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::protocol::StatusFormat;

/// How much of a stream is taken at once.
pub(crate) const CHUNK_BYTES: usize = 32 << 10;

/// The client does not take anything any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// Where bytes of the client come from.
#[derive(Debug)]
pub(crate) enum Inlet {
    Spdy {
        read: ReadHalf,
        /// Kept until the session is over: a client takes the end of our direction for the end of its own.
        _kept: Option<WriteHalf>,
    },
    Messages(mpsc::Receiver<Bytes>),
}

/// Where bytes for the client go.
#[derive(Debug)]
pub(crate) enum Outlet {
    Spdy(WriteHalf),
    Messages { channel: u8, sender: mpsc::Sender<Message> },
}

/// Bytes for one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) channel: u8,
    pub(crate) bytes: Bytes,
}

/// The streams of a remote command.
#[derive(Debug)]
pub(crate) struct Channels {
    pub(crate) stdin: Option<Inlet>,
    pub(crate) stdout: Option<Outlet>,
    pub(crate) stderr: Option<Outlet>,
    pub(crate) error: Option<Outlet>,
    pub(crate) resize: Option<Inlet>,
    pub(crate) status: StatusFormat,
}

impl Inlet {
    /// A stream that only the client writes to.
    pub(crate) fn of_stream(stream: Stream) -> Self {
        let (read, write) = stream.into_split();
        Self::Spdy { read, _kept: Some(write) }
    }

    /// Waits for more; nothing at the end, whichever end that is. Giving up the wait loses nothing.
    pub(crate) async fn receive(&mut self) -> Option<Bytes> {
        match self {
            Self::Spdy { read, .. } => {
                let mut bytes = BytesMut::with_capacity(CHUNK_BYTES);
                match read.read_buf(&mut bytes).await {
                    Ok(length) if length > 0 => Some(bytes.freeze()),
                    Ok(_) | Err(_) => None,
                }
            }
            Self::Messages(receiver) => receiver.recv().await,
        }
    }
}

impl Outlet {
    /// A stream that only we write to. What the client sends on it is thrown away.
    pub(crate) fn of_stream(stream: Stream) -> Self {
        Self::Spdy(stream.into_split().1)
    }

    /// Sends bytes as fast as the client takes them.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        match self {
            Self::Spdy(stream) => stream.write_all(bytes).await.map_err(|_| Gone),
            Self::Messages { channel, sender } => {
                let message = Message { channel: *channel, bytes: Bytes::copy_from_slice(bytes) };
                sender.send(message).await.map_err(|_| Gone)
            }
        }
    }

    /// Says that nothing more comes. Over WebSocket there is no word for that.
    pub(crate) async fn finish(&mut self) -> Result<(), Gone> {
        match self {
            Self::Spdy(stream) => stream.shutdown().await.map_err(|_| Gone),
            Self::Messages { .. } => Ok(()),
        }
    }
}
