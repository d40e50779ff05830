//! From a container's output to its log: read much at once, cut into records, write much at once.
//!
//! A line that is not complete when nothing more is there to read is logged at once as a partial record, so that nothing
//! waits in memory: a prompt is visible, and a killed monitor has lost nothing. One set of buffers serves all
//! containers of the monitor.

use std::os::fd::BorrowedFd;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use crate::log::{Log, now};
use crate::record::{CONTENT_MAX_BYTES, Header, RECORD_MAX_BYTES, Stream, Tag};

/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

/// The shared buffers.
#[derive(Debug)]
pub(crate) struct Scratch {
    input: Vec<u8>,
    records: Vec<u8>,
    header: Header,
}

/// What became of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// It is empty for now.
    Idle,
    /// There may be more; others get their turn first.
    More,
    /// Nobody can write to it any more.
    Ended,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { input: Vec::with_capacity(READ_BYTES), records: Vec::new(), header: Header::default() }
    }
}

impl Scratch {
    /// Moves what a stream holds, about `budget_bytes` at most, into the log, showing it to `tap` as it comes.
    pub(crate) fn pump(
        &mut self,
        descriptor: BorrowedFd<'_>,
        stream: Stream,
        log: Option<&mut Log>,
        budget_bytes: usize,
        mut tap: impl FnMut(&[u8]),
    ) -> Pumped {
        let mut sink = log.map(|log| Sink { log, records: &mut self.records, header: &mut self.header });
        if let Some(sink) = &mut sink {
            sink.header.set_stream(stream);
        }
        let mut taken = 0;
        self.input.clear();
        let pumped = loop {
            let (carried, room) = (self.input.len(), self.input.capacity() - self.input.len());
            let length = match rustix::io::read(descriptor, spare_capacity(&mut self.input)) {
                Ok(0) | Err(Errno::IO) => break Pumped::Ended,
                Ok(length) => length,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break Pumped::Idle,
                Err(_) => break Pumped::Ended,
            };
            tap(&self.input[carried..]);
            taken += length;
            let used = match &mut sink {
                Some(sink) => sink.split(&self.input),
                None => self.input.len(),
            };
            self.input.drain(..used);
            if length < room {
                break Pumped::Idle;
            }
            if taken >= budget_bytes {
                break Pumped::More;
            }
        };
        if let Some(sink) = sink {
            sink.finish(&self.input);
        }
        self.input.clear();
        pumped
    }
}

/// Cuts output into records and hands them to the log in batches.
struct Sink<'a> {
    log: &'a mut Log,
    records: &'a mut Vec<u8>,
    header: &'a mut Header,
}

impl Sink<'_> {
    /// Records all complete lines, and of an incomplete one what fills a record. How many bytes those were.
    fn split(&mut self, input: &[u8]) -> usize {
        self.header.set_time(now());
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', input) {
            start += self.record_long(&input[start..newline]);
            self.append(Tag::Full, &input[start..newline]);
            start = newline + 1;
        }
        start + self.record_long(&input[start..])
    }

    /// Records full parts of a line that is too long for one record, and leaves at most one record's worth.
    fn record_long(&mut self, line: &[u8]) -> usize {
        let mut start = 0;
        while line.len() - start > CONTENT_MAX_BYTES {
            self.append(Tag::Partial, &line[start..start + CONTENT_MAX_BYTES]);
            start += CONTENT_MAX_BYTES;
        }
        start
    }

    fn append(&mut self, tag: Tag, content: &[u8]) {
        let limit = self.log.batch_bytes();
        if self.records.len() + RECORD_MAX_BYTES > limit {
            self.log.write(self.records);
            self.records.clear();
        }
        self.header.append(self.records, tag, content);
    }

    /// Records what is left as a partial line, and writes everything.
    fn finish(mut self, rest: &[u8]) {
        if !rest.is_empty() {
            self.append(Tag::Partial, rest);
        }
        self.log.write(self.records);
        self.records.clear();
    }
}

#[cfg(test)]
mod tests;
