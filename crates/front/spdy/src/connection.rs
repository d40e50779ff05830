//! The session's handle of a connection, and of a stream that waits for an answer.

use std::future::poll_fn;

use tokio::sync::watch;

use crate::frame::{ResetStatus, StreamId};
use crate::header::Headers;
use crate::shared::Shared;
use crate::stream::Stream;

/// A connection. Dropping it is [`Connection::close`].
#[derive(Debug)]
pub struct Connection {
    shared: Shared,
    over: watch::Receiver<bool>,
}

impl Connection {
    pub(crate) fn new(shared: Shared) -> Self {
        let over = shared.with(|core| core.watch());
        Self { shared, over }
    }

    /// The next stream that the client opens; none when the connection is over. Nothing is lost if the future is dropped.
    ///
    /// Go on calling this while a session lasts, if only to refuse: when [`crate::Limits::max_waiting_streams`] wait, the
    /// connection is not read.
    pub async fn accept(&mut self) -> Option<Incoming> {
        let arrival = poll_fn(|context| self.shared.with(|core| core.poll_arrival(context))).await?;
        let shared = self.shared.clone();
        Some(Incoming { id: arrival.id, headers: arrival.headers, shared, is_answered: false })
    }

    /// Ends the connection in order: what was written is sent, streams that were shut down are finished and all others reset,
    /// and the client is told to go. [`crate::Limits::close_timeout`] bounds all of that.
    ///
    /// The driver does it; wait for its future to know when it is done.
    pub fn close(self) {
        drop(self);
    }

    /// Waits until the connection is over: the client is gone, or broke the protocol, or nothing moved for too long.
    pub async fn closed(&self) {
        // An error means that there is nobody left who could say so, which is the same.
        let mut over = self.over.clone();
        let _over = over.wait_for(|over| *over).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.with(crate::core::Core::close);
    }
}

/// A stream that the client wants to open. Dropping it is [`Incoming::refuse`].
#[derive(Debug)]
pub struct Incoming {
    shared: Shared,
    id: StreamId,
    headers: Headers,
    is_answered: bool,
}

impl Incoming {
    /// Which stream.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// The first value of a header. Names have no case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.first(name)
    }

    /// Opens the stream: a SYN_REPLY without headers is sent before any of its data.
    ///
    /// If the client has given it up meanwhile, reads and writes of the stream say so.
    #[must_use]
    pub fn accept(mut self) -> Stream {
        self.is_answered = true;
        self.shared.with(|core| core.reply(self.id));
        Stream::new(self.shared.clone(), self.id)
    }

    /// Resets the stream.
    pub fn refuse(self) {
        drop(self);
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.is_answered {
            self.shared.with(|core| {
                core.reset(self.id, ResetStatus::RefusedStream);
                core.drop_reader(self.id);
                core.drop_writer(self.id);
            });
        }
    }
}
