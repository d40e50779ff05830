//! Frames of the client.
//!
//! A frame about a stream that was once open and is no more is none of anybody's business: the client sent it before it
//! knew. A frame about a stream that never was is answered with a reset.

use bytes::Bytes;

use super::{Arrival, Core, Entry, MAX_ANSWER_BYTES, Receiving};
use crate::frame::{Frame, ResetStatus, StreamId, encode};
use crate::header::{BadHeaders, Headers};

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It is done with.
    Wholly,
    /// A reader must take something first. The frame holds what is left of it.
    Partly,
}

impl Core {
    /// Whether another frame may be looked at. If not, the driver is woken when it may.
    pub(crate) fn may_read(&mut self) -> bool {
        if self.arrivals.len() >= self.limits.max_waiting_streams {
            self.is_stalled = true;
            return false;
        }
        // The driver itself makes room for answers.
        self.is_open() && self.answers.len() < MAX_ANSWER_BYTES
    }

    /// Does what a frame asks for.
    pub(crate) fn apply(&mut self, frame: &mut Frame) -> Applied {
        match frame {
            Frame::SynStream { id, headers, is_last, is_one_way } => {
                let headers = std::mem::replace(headers, Err(BadHeaders::Length));
                let receiving = if *is_last { Receiving::Finished } else { Receiving::Open };
                self.syn_stream(*id, headers, receiving, *is_one_way);
            }
            Frame::SynReply { id } => self.break_off(*id, ResetStatus::InvalidStream),
            Frame::Reset { id } => self.reset_by_client(*id),
            // An even number would be an answer to a ping of ours.
            Frame::Ping { number } if *number % 2 == 1 => encode::ping(&mut self.answers, *number),
            // Streams that are open go on; the client ends them or the connection.
            Frame::Ping { .. } | Frame::GoAway => {}
            Frame::Headers { id, is_last } => self.headers(*id, *is_last),
            Frame::Data { id, bytes, is_first_part, is_last } => {
                return self.data(*id, bytes, *is_first_part, *is_last);
            }
        }
        Applied::Wholly
    }

    fn syn_stream(
        &mut self,
        id: StreamId,
        headers: Result<Headers, BadHeaders>,
        receiving: Receiving,
        is_one_way: bool,
    ) {
        if !id.is_of_client() || id <= self.last_id {
            return self.break_off(id, ResetStatus::ProtocolError);
        }
        self.last_id = id;
        let Ok(headers) = headers else {
            return self.answer_reset(id, ResetStatus::ProtocolError);
        };
        // No session could answer on a one-way stream, and no client of Kubernetes opens one.
        if is_one_way || self.streams.len() >= self.limits.max_streams {
            return self.answer_reset(id, ResetStatus::RefusedStream);
        }
        self.streams.insert(id, Entry::new(receiving));
        self.arrivals.push_back(Arrival { id, headers });
        self.wakes.extend(self.acceptor.take());
    }

    fn data(&mut self, id: StreamId, bytes: &mut Bytes, is_first_part: bool, is_last: bool) -> Applied {
        let Some(entry) = self.streams.get_mut(&id) else {
            if is_first_part {
                self.unless_known(id);
            }
            return Applied::Wholly;
        };
        if entry.receiving != Receiving::Open {
            return Applied::Wholly;
        }
        if entry.has_reader {
            let of_stream = self.limits.stream_buffer_bytes.saturating_sub(entry.received.len());
            let of_connection = self.limits.connection_buffer_bytes.saturating_sub(self.received_bytes);
            let taken = bytes.split_to(bytes.len().min(of_stream).min(of_connection));
            if !taken.is_empty() {
                entry.received.extend_from_slice(&taken);
                self.received_bytes += taken.len();
                entry.wake_reader(&mut self.wakes);
            }
            if !bytes.is_empty() {
                self.is_stalled = true;
                return Applied::Partly;
            }
        }
        if is_last {
            entry.receiving = Receiving::Finished;
            entry.wake_reader(&mut self.wakes);
        }
        Applied::Wholly
    }

    fn headers(&mut self, id: StreamId, is_last: bool) {
        match self.streams.get_mut(&id) {
            Some(entry) if is_last && entry.receiving == Receiving::Open => {
                entry.receiving = Receiving::Finished;
                entry.wake_reader(&mut self.wakes);
            }
            Some(_) => {}
            None => self.unless_known(id),
        }
    }

    /// The client wants nothing more of a stream: all that is kept for it goes.
    fn reset_by_client(&mut self, id: StreamId) {
        let Some(entry) = self.streams.get_mut(&id) else {
            return;
        };
        self.received_bytes -= entry.discard();
        entry.receiving = Receiving::Lost;
        entry.wake_reader(&mut self.wakes);
        self.queued_bytes -= entry.lose_sending(&mut self.wakes);
        self.turns.retain(|turn| *turn != id);
        let waiting = self.arrivals.len();
        self.arrivals.retain(|arrival| arrival.id != id);
        if self.arrivals.len() < waiting {
            self.forget(id);
        }
        self.settle(id);
    }

    /// Answers a frame that makes no sense. If there is a stream of that number, the client takes the reset for its.
    fn break_off(&mut self, id: StreamId, status: ResetStatus) {
        self.reset_by_client(id);
        self.answer_reset(id, status);
    }

    fn unless_known(&mut self, id: StreamId) {
        if !id.is_of_client() || id > self.last_id {
            self.answer_reset(id, ResetStatus::InvalidStream);
        }
    }

    fn answer_reset(&mut self, id: StreamId, status: ResetStatus) {
        encode::reset(&mut self.answers, id, status);
    }
}
