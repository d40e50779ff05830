//! All the I/O of a connection, in one future: nothing here decides anything.
//!
//! ```text
//! exchange   read and apply what the client sent, send what the core has, until ...
//!    |- the client left, or the transport failed ----------------------------------> the end
//!    |- the session closed the connection --------------------------> part ---------> the end
//!    '- the client broke the protocol, or nothing moved for too long -> abort, part -> the end
//! part       send the rest and the GOAWAY, end our direction, wait for the client to leave
//! ```
//!
//! Parting waits for the client because a transport that is dropped with unread bytes in it is reset by the kernel, and a reset
//! takes with it what the client has not read yet: the exit code, for one. Whoever drops the driver ends the connection.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_util::io::poll_read_buf;

use crate::core::{Applied, Core};
use crate::error::ConnectionError;
use crate::frame::{Decoder, Frame, GoAwayStatus};
use crate::limits::Limits;
use crate::shared::Shared;

/// Read at once, at least.
const READ_BYTES: usize = 16 << 10;
/// After so many turns of sending and reading, other tasks of the runtime have theirs.
const TURNS_AT_ONCE: usize = 16;

/// Moves bytes between a transport and a [`Core`].
pub(crate) struct Driver<T> {
    io: T,
    shared: Shared,
    idle_timeout: Duration,
    close_timeout: Duration,
    decoder: Decoder,
    /// Read and not yet understood: a part of one control frame, once all frames are taken out.
    input: BytesMut,
    /// A frame that a reader must make room for.
    held: Option<Frame>,
    output: BytesMut,
    needs_flush: bool,
    last_moved: Instant,
}

/// Why an exchange is over.
enum End {
    Closed,
    Left,
    Failed(ConnectionError),
    Aborted(GoAwayStatus, ConnectionError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Moved,
    Waits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parting {
    Sending,
    Sent,
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Driver<T> {
    pub(crate) fn new(io: T, shared: Shared, limits: &Limits) -> Self {
        Self {
            io,
            shared,
            idle_timeout: limits.idle_timeout,
            close_timeout: limits.close_timeout,
            decoder: Decoder::new(limits),
            input: BytesMut::new(),
            held: None,
            output: BytesMut::new(),
            needs_flush: false,
            last_moved: Instant::now(),
        }
    }

    pub(crate) async fn run(mut self) -> Result<(), ConnectionError> {
        let end = {
            let mut idle = pin!(sleep(self.idle_timeout));
            poll_fn(|context| self.poll_exchange(context, idle.as_mut())).await
        };
        let result = match end {
            End::Left => return Ok(()),
            End::Failed(error) => return Err(error),
            End::Closed => Ok(()),
            End::Aborted(status, error) => {
                self.shared.with(|core| core.abort(status));
                Err(error)
            }
        };
        let limit = self.close_timeout;
        let (mut parting, mut has_left) = (Parting::Sending, false);
        let part = poll_fn(|context| self.poll_part(context, &mut parting, &mut has_left));
        // A client that does not read or does not leave in time is left.
        let _in_time = timeout(limit, part).await;
        result
    }

    fn poll_exchange(&mut self, context: &mut Context<'_>, idle: Pin<&mut Sleep>) -> Poll<End> {
        self.shared.with(|core| core.set_driver(context.waker()));
        for _ in 0..TURNS_AT_ONCE {
            // In this order, since what was received may have to be answered.
            let received = match self.receive(context) {
                Ok(step) => step,
                Err(end) => return Poll::Ready(end),
            };
            let sent = match self.send(context) {
                Ok(step) => step,
                Err(error) => return Poll::Ready(End::Failed(error)),
            };
            if !self.shared.with(|core| core.is_open()) {
                return Poll::Ready(End::Closed);
            }
            if (sent, received) == (Step::Waits, Step::Waits) {
                return self.poll_idle(context, idle);
            }
            self.last_moved = Instant::now();
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// The timer is set anew only when it rings, not whenever something moves.
    fn poll_idle(&self, context: &mut Context<'_>, mut idle: Pin<&mut Sleep>) -> Poll<End> {
        while idle.as_mut().poll(context).is_ready() {
            let deadline = self.last_moved + self.idle_timeout;
            if Instant::now() >= deadline {
                let error = ConnectionError::Idle { limit: self.idle_timeout };
                return Poll::Ready(End::Aborted(GoAwayStatus::Ok, error));
            }
            idle.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    fn poll_part(&mut self, context: &mut Context<'_>, parting: &mut Parting, has_left: &mut bool) -> Poll<()> {
        self.shared.with(|core| core.set_driver(context.waker()));
        for _ in 0..TURNS_AT_ONCE {
            let Ok(sent) = self.send(context) else {
                return Poll::Ready(());
            };
            let is_all_sent = sent == Step::Waits && self.output.is_empty() && !self.needs_flush;
            if *parting == Parting::Sending && is_all_sent {
                match Pin::new(&mut self.io).poll_shutdown(context) {
                    Poll::Ready(Ok(())) => *parting = Parting::Sent,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
            }
            let received = if *has_left { Step::Waits } else { self.discard(context, has_left) };
            if *parting == Parting::Sent && *has_left {
                return Poll::Ready(());
            }
            if (sent, received) == (Step::Waits, Step::Waits) {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends what is due, until the transport takes no more.
    fn send(&mut self, context: &mut Context<'_>) -> Result<Step, ConnectionError> {
        let wrong = |source| ConnectionError::Write { source };
        if self.output.is_empty() {
            self.shared.with(|core| core.fill(&mut self.output));
        }
        let mut step = Step::Waits;
        while !self.output.is_empty() {
            match Pin::new(&mut self.io).poll_write(context, &self.output) {
                Poll::Pending => return Ok(step),
                Poll::Ready(Err(source)) => return Err(wrong(source)),
                Poll::Ready(Ok(0)) => return Err(wrong(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.output.advance(count),
            }
            (step, self.needs_flush) = (Step::Moved, true);
        }
        if step == Step::Waits && self.needs_flush {
            // An idle connection keeps no buffer.
            self.output = BytesMut::new();
            if let Poll::Ready(flushed) = Pin::new(&mut self.io).poll_flush(context) {
                flushed.map_err(wrong)?;
                self.needs_flush = false;
            }
        }
        Ok(step)
    }

    /// Applies what was read, and reads more once that is done with.
    fn receive(&mut self, context: &mut Context<'_>) -> Result<Step, End> {
        if self.apply()? == Applied::Partly {
            return Ok(Step::Waits);
        }
        self.input.reserve(READ_BYTES);
        match poll_read_buf(Pin::new(&mut self.io), context, &mut self.input) {
            Poll::Pending => Ok(Step::Waits),
            Poll::Ready(Ok(0)) if self.input.is_empty() && self.decoder.is_between_frames() => Err(End::Left),
            Poll::Ready(Ok(0)) => Err(End::Failed(ConnectionError::Truncated)),
            Poll::Ready(Ok(_)) => Ok(Step::Moved),
            Poll::Ready(Err(source)) => Err(End::Failed(ConnectionError::Read { source })),
        }
    }

    fn apply(&mut self) -> Result<Applied, End> {
        loop {
            let mut frame = match self.held.take() {
                Some(frame) => frame,
                None if !self.shared.with(Core::may_read) => return Ok(Applied::Partly),
                None => match self.decoder.next_frame(&mut self.input) {
                    Ok(Some(frame)) => frame,
                    Ok(None) => return Ok(Applied::Wholly),
                    Err(source) => {
                        let error = ConnectionError::Protocol { source };
                        return Err(End::Aborted(GoAwayStatus::ProtocolError, error));
                    }
                },
            };
            if self.shared.with(|core| core.apply(&mut frame)) == Applied::Partly {
                self.held = Some(frame);
                return Ok(Applied::Partly);
            }
        }
    }

    /// Reads and forgets.
    fn discard(&mut self, context: &mut Context<'_>, has_left: &mut bool) -> Step {
        self.held = None;
        self.input.clear();
        self.input.reserve(READ_BYTES);
        match poll_read_buf(Pin::new(&mut self.io), context, &mut self.input) {
            Poll::Pending => Step::Waits,
            Poll::Ready(Ok(count)) if count > 0 => Step::Moved,
            Poll::Ready(_) => {
                *has_left = true;
                Step::Moved
            }
        }
    }
}

impl<T> Drop for Driver<T> {
    fn drop(&mut self) {
        self.shared.with(Core::lose);
    }
}
