//! What is to be sent: answers first, then one data frame of each stream in turn, and the GOAWAY when all else is out.

use bytes::BytesMut;

use super::entry::consume;
use super::{Core, Phase, Sending};
use crate::frame::encode::MAX_DATA_BYTES;
use crate::frame::{ResetStatus, StreamId, encode};

/// Handed to the transport at once, more or less.
const OUTPUT_BYTES: usize = 64 << 10;

impl Core {
    /// Fills the output with what is due.
    pub(crate) fn fill(&mut self, output: &mut BytesMut) {
        output.extend_from_slice(&self.answers);
        let count = self.answers.len();
        consume(&mut self.answers, count);
        while output.len() < OUTPUT_BYTES
            && let Some(id) = self.turns.pop_front()
        {
            self.turn(id, output);
        }
        if let Phase::Closing(status) = self.phase
            && self.turns.is_empty()
        {
            encode::go_away(output, self.last_id, status);
            self.phase = Phase::Closed;
        }
    }

    /// One frame of one stream.
    fn turn(&mut self, id: StreamId, output: &mut BytesMut) {
        let Some(entry) = self.streams.get_mut(&id) else {
            return;
        };
        let count = entry.queued.len().min(MAX_DATA_BYTES);
        if count > 0 {
            encode::data(output, id, &entry.queued[..count]);
            consume(&mut entry.queued, count);
            self.queued_bytes -= count;
        }
        entry.has_turn = !entry.queued.is_empty();
        if entry.has_turn {
            self.turns.push_back(id);
        } else if entry.sending == Sending::Finishing {
            encode::fin(output, id);
            entry.sending = Sending::Finished;
        } else if entry.sending == Sending::Resetting {
            encode::reset(output, id, ResetStatus::Cancel);
            entry.sending = Sending::Reset;
        }
        entry.wake_writer(&mut self.wakes);
        self.settle(id);
    }
}
