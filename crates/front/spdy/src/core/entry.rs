//! One stream: two directions that end independently.

use std::mem;
use std::task::Waker;

use bytes::{Buf as _, BytesMut};

/// An emptied buffer of more than this is given back.
const KEPT_BYTES: usize = 4 << 10;

/// A stream.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) receiving: Receiving,
    /// From the client, not yet read.
    pub(super) received: BytesMut,
    pub(super) has_reader: bool,
    pub(super) reader: Option<Waker>,
    pub(super) sending: Sending,
    /// Written by the session, not yet sent.
    pub(super) queued: BytesMut,
    pub(super) has_writer: bool,
    pub(super) writer: Option<Waker>,
    /// Whether it is in the list of turns.
    pub(super) has_turn: bool,
}

/// The direction from the client.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiving {
    #[default]
    Open,
    /// The client said that it is done.
    Finished,
    /// Nothing more will come, though the client was not done.
    Lost,
}

/// The direction to the client.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    #[default]
    Open,
    /// A FIN follows what is queued.
    Finishing,
    /// The FIN is sent.
    Finished,
    /// A reset follows what is queued.
    Resetting,
    /// Nothing more is sent.
    Reset,
}

impl Entry {
    /// A stream with both ends held.
    pub(super) fn new(receiving: Receiving) -> Self {
        Self { receiving, has_reader: true, has_writer: true, ..Self::default() }
    }

    pub(super) fn is_held(&self) -> bool {
        self.has_reader || self.has_writer
    }

    pub(super) fn wake_reader(&mut self, wakes: &mut Vec<Waker>) {
        wakes.extend(self.reader.take());
    }

    pub(super) fn wake_writer(&mut self, wakes: &mut Vec<Waker>) {
        wakes.extend(self.writer.take());
    }

    /// No more will be received; what was can be read.
    pub(super) fn lose_receiving(&mut self, wakes: &mut Vec<Waker>) {
        if self.receiving == Receiving::Open {
            self.receiving = Receiving::Lost;
        }
        self.wake_reader(wakes);
    }

    /// Nothing more will be sent; how many bytes that were queued.
    pub(super) fn lose_sending(&mut self, wakes: &mut Vec<Waker>) -> usize {
        if self.sending != Sending::Finished {
            self.sending = Sending::Reset;
        }
        self.has_turn = false;
        self.wake_writer(wakes);
        mem::take(&mut self.queued).len()
    }

    /// Throws away what was received; how many bytes that were.
    pub(super) fn discard(&mut self) -> usize {
        mem::take(&mut self.received).len()
    }
}

/// Takes the first bytes off a buffer, and gives a large one back when it is empty.
pub(super) fn consume(buffer: &mut BytesMut, count: usize) {
    buffer.advance(count);
    if buffer.is_empty() && buffer.capacity() > KEPT_BYTES {
        *buffer = BytesMut::new();
    }
}
