//! Calls of the handles. A handle may outlive its connection; then reads and writes fail and everything else is a no-op.

use std::io;
use std::mem;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use super::entry::consume;
use super::{Arrival, Core, Receiving, Sending};
use crate::frame::encode::Block;
use crate::frame::{ResetStatus, StreamId, encode};

/// What a stream may queue however much other streams have queued. While anything is queued the stream has a turn, and after
/// its turn the writer is woken; so a writer that found no room is never forgotten.
const GUARANTEED_BYTES: usize = 4 << 10;

impl Core {
    /// The next stream that the client opened; none when the connection is over.
    pub(crate) fn poll_arrival(&mut self, context: &Context<'_>) -> Poll<Option<Arrival>> {
        if !self.is_open() {
            return Poll::Ready(None);
        }
        match self.arrivals.pop_front() {
            Some(arrival) => {
                self.relieve();
                Poll::Ready(Some(arrival))
            }
            None => {
                self.acceptor = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Tells the client that its stream is open.
    pub(crate) fn reply(&mut self, id: StreamId) {
        let is_alive = self.streams.get(&id).is_some_and(|entry| entry.sending == Sending::Open);
        if is_alive {
            encode::syn_reply(&mut self.answers, id, mem::replace(&mut self.next_block, Block::Later));
            self.wake_driver();
        }
    }

    /// Ends a stream in both directions, at once.
    pub(crate) fn reset(&mut self, id: StreamId, status: ResetStatus) {
        let Some(entry) = self.streams.get_mut(&id) else {
            return;
        };
        let is_over = match entry.sending {
            Sending::Open | Sending::Finishing => false,
            Sending::Finished => entry.receiving != Receiving::Open,
            // The client is told, or will be in its turn, or told us.
            Sending::Resetting | Sending::Reset => true,
        };
        entry.receiving = Receiving::Lost;
        entry.wake_reader(&mut self.wakes);
        self.received_bytes -= entry.discard();
        if !is_over {
            self.queued_bytes -= entry.lose_sending(&mut self.wakes);
            self.turns.retain(|turn| *turn != id);
            encode::reset(&mut self.answers, id, status);
            self.wake_driver();
        }
        self.relieve();
        self.settle(id);
    }

    /// Nobody will read a stream any more.
    pub(crate) fn drop_reader(&mut self, id: StreamId) {
        if let Some(entry) = self.streams.get_mut(&id) {
            entry.has_reader = false;
            self.received_bytes -= entry.discard();
            self.relieve();
            self.settle(id);
        }
    }

    /// Nobody will write to a stream any more.
    pub(crate) fn drop_writer(&mut self, id: StreamId) {
        let Some(entry) = self.streams.get_mut(&id) else {
            return;
        };
        entry.has_writer = false;
        if entry.sending == Sending::Open {
            self.reset(id, ResetStatus::Cancel);
        }
        self.settle(id);
    }

    /// Reads what is there.
    pub(crate) fn poll_read(
        &mut self,
        id: StreamId,
        context: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(entry) = self.streams.get_mut(&id) else {
            return Poll::Ready(Err(connection_reset()));
        };
        if !entry.received.is_empty() {
            let count = entry.received.len().min(buffer.remaining());
            buffer.put_slice(&entry.received[..count]);
            consume(&mut entry.received, count);
            self.received_bytes -= count;
            self.relieve();
            return Poll::Ready(Ok(()));
        }
        match entry.receiving {
            Receiving::Finished => Poll::Ready(Ok(())),
            Receiving::Lost => Poll::Ready(Err(connection_reset())),
            Receiving::Open => {
                entry.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Queues what there is room for.
    pub(crate) fn poll_write(&mut self, id: StreamId, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(entry) = self.streams.get_mut(&id) else {
            return Poll::Ready(Err(connection_reset()));
        };
        match entry.sending {
            Sending::Open => {}
            Sending::Finishing | Sending::Finished => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Sending::Resetting | Sending::Reset => return Poll::Ready(Err(connection_reset())),
        }
        let of_stream = self.limits.stream_buffer_bytes.saturating_sub(entry.queued.len());
        let of_connection = self.limits.connection_buffer_bytes.saturating_sub(self.queued_bytes);
        let guaranteed = GUARANTEED_BYTES.saturating_sub(entry.queued.len());
        let count = bytes.len().min(of_stream).min(of_connection.max(guaranteed));
        if count == 0 && !bytes.is_empty() {
            entry.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        entry.queued.extend_from_slice(&bytes[..count]);
        self.queued_bytes += count;
        if count > 0 {
            self.take_turn(id);
        }
        Poll::Ready(Ok(count))
    }

    /// Waits until everything written was handed to the transport.
    pub(crate) fn poll_flush(&mut self, id: StreamId, context: &Context<'_>) -> Poll<io::Result<()>> {
        match self.streams.get_mut(&id) {
            Some(entry) if !entry.queued.is_empty() => {
                entry.writer = Some(context.waker().clone());
                Poll::Pending
            }
            Some(entry) if entry.sending != Sending::Reset => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(connection_reset())),
        }
    }

    /// Promises a FIN after what was written.
    pub(crate) fn finish(&mut self, id: StreamId) -> io::Result<()> {
        let Some(entry) = self.streams.get_mut(&id) else {
            return Err(connection_reset());
        };
        match entry.sending {
            Sending::Open => {
                entry.sending = Sending::Finishing;
                self.take_turn(id);
                Ok(())
            }
            Sending::Finishing | Sending::Finished => Ok(()),
            Sending::Resetting | Sending::Reset => Err(connection_reset()),
        }
    }

    fn take_turn(&mut self, id: StreamId) {
        if let Some(entry) = self.streams.get_mut(&id)
            && !mem::replace(&mut entry.has_turn, true)
        {
            self.turns.push_back(id);
        }
        self.wake_driver();
    }
}

fn connection_reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}
