//! What a connection knows, and what each frame of the client and each call of a session changes in it.
//!
//! No I/O, no clock, no waiting: a method changes the state and notes in `wakes` whose turn it is now; [`crate::shared`] wakes
//! them after the lock is released. Everything in here is bounded: streams and arrivals by number, their buffers by bytes,
//! answers by not reading the client ([`Core::may_read`]) while too many of them wait.
//!
//! * [`incoming`]: frames of the client
//! * [`sessions`]: calls of the handles
//! * [`outgoing`]: what is to be sent, in whose turn
//! * [`entry`]: one stream

mod entry;
mod incoming;
mod outgoing;
mod sessions;

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::task::Waker;

use bytes::BytesMut;
use tokio::sync::watch;

use crate::frame::encode::Block;
use crate::frame::{GoAwayStatus, ResetStatus, StreamId, encode};
use crate::header::Headers;
use crate::limits::Limits;
use entry::{Entry, Receiving, Sending};
pub(crate) use incoming::Applied;

/// Above so many bytes of answers that wait to be sent, the client is not read.
const MAX_ANSWER_BYTES: usize = 16 << 10;

/// The state of a connection.
#[derive(Debug)]
pub(crate) struct Core {
    limits: Limits,
    phase: Phase,
    streams: BTreeMap<StreamId, Entry>,
    /// Opened by the client and not yet given to a session.
    arrivals: VecDeque<Arrival>,
    /// Streams with something to send, each once.
    turns: VecDeque<StreamId>,
    /// Control frames, ready to be sent. They go before all data.
    answers: BytesMut,
    next_block: Block,
    /// The highest id that the client used.
    last_id: StreamId,
    /// Bytes in all receiving buffers.
    received_bytes: usize,
    /// Bytes in all sending buffers.
    queued_bytes: usize,
    /// Whether the driver waits for a session to take something.
    is_stalled: bool,
    driver: Option<Waker>,
    acceptor: Option<Waker>,
    wakes: Vec<Waker>,
    /// True from the moment nothing more is exchanged with sessions.
    over: watch::Sender<bool>,
}

/// A stream that waits for a session.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) id: StreamId,
    pub(crate) headers: Headers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// What was written is still sent; then the GOAWAY.
    Closing(GoAwayStatus),
    /// The GOAWAY is among the bytes to be sent.
    Closed,
}

impl Core {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            phase: Phase::Open,
            streams: BTreeMap::new(),
            arrivals: VecDeque::new(),
            turns: VecDeque::new(),
            answers: BytesMut::new(),
            next_block: Block::First,
            last_id: StreamId::NONE,
            received_bytes: 0,
            queued_bytes: 0,
            is_stalled: false,
            driver: None,
            acceptor: None,
            wakes: Vec::new(),
            over: watch::Sender::new(false),
        }
    }

    /// Whom to wake.
    pub(crate) fn take_wakes(&mut self) -> Vec<Waker> {
        mem::take(&mut self.wakes)
    }

    /// Becomes true when the connection is over for sessions.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.over.subscribe()
    }

    pub(crate) fn set_driver(&mut self, waker: &Waker) {
        self.driver = Some(waker.clone());
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// The session is done: what was written goes out, then everything unfinished is reset.
    pub(crate) fn close(&mut self) {
        if !self.is_open() {
            return;
        }
        self.refuse_arrivals();
        for (id, entry) in &mut self.streams {
            entry.lose_receiving(&mut self.wakes);
            if entry.sending == Sending::Open {
                entry.sending = Sending::Resetting;
                entry.wake_writer(&mut self.wakes);
                if !mem::replace(&mut entry.has_turn, true) {
                    self.turns.push_back(*id);
                }
            }
        }
        self.end(Phase::Closing(GoAwayStatus::Ok));
    }

    /// The client broke the protocol or fell silent: nothing but the GOAWAY is sent.
    pub(crate) fn abort(&mut self, status: GoAwayStatus) {
        self.lose();
        self.end(Phase::Closing(status));
    }

    /// The client is gone, or nobody works for this connection any more. What was received can still be read.
    pub(crate) fn lose(&mut self) {
        for entry in self.streams.values_mut() {
            entry.lose_receiving(&mut self.wakes);
            self.queued_bytes -= entry.lose_sending(&mut self.wakes);
        }
        while let Some(arrival) = self.arrivals.pop_front() {
            self.forget(arrival.id);
        }
        self.turns.clear();
        self.answers.clear();
        self.streams.retain(|_, entry| entry.is_held());
        self.end(Phase::Closed);
    }

    fn end(&mut self, phase: Phase) {
        self.phase = phase;
        self.over.send_replace(true);
        self.wakes.extend(self.acceptor.take());
        self.wake_driver();
    }

    fn refuse_arrivals(&mut self) {
        while let Some(arrival) = self.arrivals.pop_front() {
            encode::reset(&mut self.answers, arrival.id, ResetStatus::RefusedStream);
            self.forget(arrival.id);
        }
    }

    /// Drops a stream and all that it keeps.
    fn forget(&mut self, id: StreamId) {
        if let Some(entry) = self.streams.remove(&id) {
            self.received_bytes -= entry.received.len();
            self.queued_bytes -= entry.queued.len();
        }
    }

    /// Drops a stream that nobody holds and of which everything was sent.
    fn settle(&mut self, id: StreamId) {
        let is_over = |entry: &Entry| !entry.is_held() && matches!(entry.sending, Sending::Finished | Sending::Reset);
        if self.streams.get(&id).is_some_and(is_over) {
            self.forget(id);
        }
    }

    fn wake_driver(&mut self) {
        self.wakes.extend(self.driver.take());
    }

    /// Something was taken: a driver that waits for that goes on.
    fn relieve(&mut self) {
        if mem::take(&mut self.is_stalled) {
            self.wake_driver();
        }
    }
}

#[cfg(test)]
mod tests;
