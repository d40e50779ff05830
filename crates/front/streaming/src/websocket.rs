//! Sessions over WebSocket (RFC 6455): numbered channels in messages, or SPDY as a tunnel.
//!
//! All channels share the connection, so whoever does not take the bytes of one stops the others; that is why commands
//! throw away what they do not want. Pings are answered by the library whenever the connection is read.

pub(crate) mod command;
pub(crate) mod forward;
pub(crate) mod message;
pub(crate) mod tunnel;

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use crate::channel;
use crate::protocol::ChannelProtocol;
use message::{ClientMessage, decode, encode};

/// The largest message of a client. Some send a whole file as one.
const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// What is read from the connection at once.
const READ_BUFFER_BYTES: usize = 16 << 10;
/// Messages that wait for whoever reads a channel, and for the connection.
const QUEUE: usize = 2;
/// How long a client may take to say good-bye, too.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
/// How long a client may take to take what was written, once its session is over.
const TAIL_LIMIT: Duration = Duration::from_secs(30);

/// Our side of the channels of one connection.
#[derive(Debug)]
pub(crate) struct Multiplex {
    protocol: ChannelProtocol,
    /// Who gets what the client sends, by channel.
    inlets: BTreeMap<u8, mpsc::Sender<Bytes>>,
    outgoing: mpsc::Receiver<channel::Message>,
    sender: Option<mpsc::Sender<channel::Message>>,
    /// Raised when the client is gone.
    gone: CancellationToken,
}

impl Multiplex {
    pub(crate) fn new(protocol: ChannelProtocol) -> Self {
        let (sender, outgoing) = mpsc::channel(QUEUE);
        let gone = CancellationToken::new();
        Self { protocol, inlets: BTreeMap::new(), outgoing, sender: Some(sender), gone }
    }

    /// A channel that the client writes to. Only the channels that were asked for are looked at.
    pub(crate) fn inlet(&mut self, channel: u8) -> channel::Inlet {
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.inlets.insert(channel, sender);
        channel::Inlet::Messages(receiver)
    }

    /// A channel that we write to.
    pub(crate) fn outlet(&self, channel: u8) -> Option<channel::Outlet> {
        let sender = self.sender.clone()?;
        Some(channel::Outlet::Messages { channel, sender })
    }

    /// Raised when the client is gone.
    pub(crate) fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }

    /// Carries messages both ways until every outlet is dropped, and says good-bye; or until the client is gone. `greeting`
    /// is the channel of the empty message with which clients learn that the session has begun.
    pub(crate) async fn carry<T>(mut self, socket: WebSocketStream<T>, greeting: u8)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        self.sender = None;
        let Self { protocol, mut inlets, mut outgoing, gone, .. } = self;
        let (mut sink, source) = socket.split();
        let mut writer = pin!(async move {
            sink.send(encode(protocol.encoding, greeting, &[])).await?;
            while let Some(message) = outgoing.recv().await {
                sink.send(encode(protocol.encoding, message.channel, &message.bytes)).await?;
            }
            sink.send(Message::Close(Some(normal()))).await
        });
        let mut reader = pin!(read(source, protocol, &mut inlets));
        tokio::select! {
            read = &mut reader => note(read),
            written = &mut writer => match written {
                Ok(()) => {
                    if timeout(CLOSE_LIMIT, &mut reader).await.is_err() {
                        tracing::debug!("a client did not say good-bye");
                    }
                }
                Err(error) => note(Err(error)),
            },
        }
        gone.cancel();
    }
}

/// Lets a connection carry a session to the end of both. A session must end when its connection is over.
pub(crate) async fn together(carried: impl Future<Output = ()>, session: impl Future<Output = ()>) {
    let (mut carried, mut session) = (pin!(carried), pin!(session));
    tokio::select! {
        () = &mut carried => session.await,
        () = &mut session => {
            if timeout(TAIL_LIMIT, carried).await.is_err() {
                tracing::debug!("a client did not take the end of its session");
            }
        }
    }
}

/// Takes over a connection after its handshake.
pub(crate) async fn socket<T: AsyncRead + AsyncWrite + Unpin>(io: T) -> WebSocketStream<T> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await
}

/// Reads until the client closes. The inlets end with it.
async fn read(
    mut source: impl Stream<Item = Result<Message, Error>> + Unpin,
    protocol: ChannelProtocol,
    inlets: &mut BTreeMap<u8, mpsc::Sender<Bytes>>,
) -> Result<(), Error> {
    while let Some(message) = source.next().await {
        let bytes = match message? {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into(),
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        match decode(protocol.encoding, protocol.closes, &bytes) {
            Ok(Some(ClientMessage::Data { channel, bytes })) => {
                if let Some(inlet) = inlets.get(&channel) {
                    // Nobody reads a channel any more whose end was reached.
                    drop(inlet.send(bytes).await);
                }
            }
            Ok(Some(ClientMessage::Close { channel })) => drop(inlets.remove(&channel)),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "a client broke the protocol");
                break;
            }
        }
    }
    inlets.clear();
    Ok(())
}

fn normal() -> CloseFrame {
    CloseFrame { code: CloseCode::Normal, reason: "".into() }
}

fn note(ended: Result<(), Error>) {
    match ended {
        Ok(()) | Err(Error::ConnectionClosed) => {}
        Err(error) => tracing::debug!(%error, "a connection ended early"),
    }
}

#[cfg(test)]
mod tests;
