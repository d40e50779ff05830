//! The session's handle of a stream.
//!
//! | the client … | reading | writing |
//! |---|---|---|
//! | sends a FIN | the rest, then the end | goes on |
//! | resets the stream | `ConnectionReset` at once | `ConnectionReset` |
//! | is gone, or the connection was closed | the rest, then `ConnectionReset` | `ConnectionReset` |
//!
//! Shutting down queues a FIN and does not wait for it to be sent; writing after that is a `BrokenPipe`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::frame::{ResetStatus, StreamId};
use crate::shared::Shared;

/// An open stream. Dropping it before it was shut down resets it.
#[derive(Debug)]
pub struct Stream {
    read: ReadHalf,
    write: WriteHalf,
}

/// The direction from the client. When it is dropped, what still comes is thrown away.
#[derive(Debug)]
pub struct ReadHalf {
    shared: Shared,
    id: StreamId,
}

/// The direction to the client. Dropping it before it was shut down resets the stream, in both directions.
#[derive(Debug)]
pub struct WriteHalf {
    shared: Shared,
    id: StreamId,
}

impl Stream {
    pub(crate) fn new(shared: Shared, id: StreamId) -> Self {
        Self { read: ReadHalf { shared: shared.clone(), id }, write: WriteHalf { shared, id } }
    }

    /// Which stream.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.read.id
    }

    /// Ends both directions at once; what was not yet sent is not sent.
    pub fn reset(self) {
        self.write.reset();
    }

    /// Two halves that can be used by two tasks.
    #[must_use]
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        (self.read, self.write)
    }
}

impl WriteHalf {
    /// As [`Stream::reset`].
    pub fn reset(self) {
        self.shared.with(|core| core.reset(self.id, ResetStatus::Cancel));
    }
}

impl Drop for ReadHalf {
    fn drop(&mut self) {
        self.shared.with(|core| core.drop_reader(self.id));
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        self.shared.with(|core| core.drop_writer(self.id));
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.shared.with(|core| core.poll_read(self.id, context, buffer))
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.with(|core| core.poll_write(self.id, context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.with(|core| core.poll_flush(self.id, context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shared.with(|core| core.finish(self.id)))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(context)
    }
}
