//! A stream of bytes in the binary messages of a WebSocket connection, for SPDY to be spoken through.
//!
//! Where one message ends and the next begins means nothing.

use std::pin::pin;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{normal, note};
use crate::channel::CHUNK_BYTES;

/// How much may be under way in each direction.
const BUFFER_BYTES: usize = 64 << 10;
/// How long a client may take to say good-bye, too.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// A stream of bytes, and the future that carries it through the connection until either end closes.
pub(crate) fn open<T>(socket: WebSocketStream<T>) -> (DuplexStream, impl Future<Output = ()>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (near, far) = tokio::io::duplex(BUFFER_BYTES);
    (near, carry(socket, far))
}

async fn carry<T: AsyncRead + AsyncWrite + Unpin>(socket: WebSocketStream<T>, bytes: DuplexStream) {
    let (mut sink, mut source) = socket.split();
    let (mut outward, mut inward): (ReadHalf<_>, WriteHalf<_>) = tokio::io::split(bytes);
    let mut reader = pin!(async move {
        while let Some(message) = source.next().await {
            let bytes = match message? {
                Message::Binary(bytes) => bytes,
                Message::Text(text) => text.into(),
                Message::Close(_) => break,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            if inward.write_all(&bytes).await.is_err() {
                break;
            }
        }
        // The other end may be closed already.
        let _closed = inward.shutdown().await;
        Ok::<(), Error>(())
    });
    let mut writer = pin!(async move {
        let mut buffer = vec![0u8; CHUNK_BYTES];
        while let Ok(length @ 1..) = outward.read(&mut buffer).await {
            sink.send(Message::binary(buffer[..length].to_vec())).await?;
        }
        sink.send(Message::Close(Some(normal()))).await
    });
    tokio::select! {
        read = &mut reader => {
            note(read);
            // What SPDY still has to say goes nowhere, but it must be taken.
            if let Ok(written) = timeout(CLOSE_LIMIT, &mut writer).await {
                note(written);
            }
        }
        written = &mut writer => match written {
            Ok(()) => drop(timeout(CLOSE_LIMIT, &mut reader).await),
            Err(error) => note(Err(error)),
        },
    }
}
