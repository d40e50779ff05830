//! The epoll set: which descriptor woke us, as a value instead of a number.
//!
//! Keys are never used twice, so an event of something that is gone finds nothing and does no harm. A descriptor that came
//! from a client must be taken out with [`Poll::remove`] before it is closed: the client may hold the same open file,
//! and the kernel drops a registration only with the last holder.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::record::Stream;

/// How many events are taken at once.
const BATCH: usize = 64;
/// Bits of a token that hold the key.
const KEY_BITS: u32 = 56;

/// A never-repeating name of a client, container, exec or attachment.
pub(crate) type Key = u64;

/// What a registered descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The signal descriptor.
    Signals,
    /// The listening socket.
    Listener,
    /// A client's connection.
    Client(Key),
    /// A container's output.
    Output(Key, Stream),
    /// A container's input.
    Input(Key),
    /// A container's out-of-memory counters.
    OutOfMemory(Key),
    /// An attached client's input.
    AttachInput(Key),
    /// A process of an exec that is being ended.
    Doomed(Key),
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Something to read.
    Read,
    /// Something to read, told once per arrival.
    ReadEdge,
    /// Something to read, or room to write.
    ReadWrite,
    /// Room to write.
    Write,
    /// An exceptional condition, as control files of cgroups raise.
    Exception,
    /// Nothing for now.
    Nothing,
}

/// The set.
#[derive(Debug)]
pub(crate) struct Poll {
    set: OwnedFd,
}

impl Poll {
    /// An empty set.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { set: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// Watches a descriptor.
    pub(crate) fn add(&self, descriptor: impl AsFd, source: Source, interest: Interest) -> std::io::Result<()> {
        Ok(epoll::add(&self.set, descriptor, EventData::new_u64(token(source)), flags(interest))?)
    }

    /// Watches a watched descriptor for something else. With an edge interest, what is ready is told anew.
    pub(crate) fn change(&self, descriptor: impl AsFd, source: Source, interest: Interest) -> std::io::Result<()> {
        Ok(epoll::modify(&self.set, descriptor, EventData::new_u64(token(source)), flags(interest))?)
    }

    /// Stops watching a descriptor. One that is not watched is left alone.
    pub(crate) fn remove(&self, descriptor: impl AsFd) {
        // The only failure of interest is that it was not in the set.
        let _absent = epoll::delete(&self.set, descriptor);
    }

    /// Waits for events, at most `limit`, and gives their sources.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> std::io::Result<Vec<Source>> {
        let limit = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        });
        let mut events = Vec::with_capacity(BATCH);
        match epoll::wait(&self.set, rustix::buffer::spare_capacity(&mut events), limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let token = |event: &epoll::Event| event.data.u64();
        Ok(events.iter().filter_map(|event| source(token(event))).collect())
    }
}

fn flags(interest: Interest) -> EventFlags {
    match interest {
        Interest::Read => EventFlags::IN,
        Interest::ReadEdge => EventFlags::IN | EventFlags::ET,
        Interest::ReadWrite => EventFlags::IN | EventFlags::OUT,
        Interest::Write => EventFlags::OUT,
        Interest::Exception => EventFlags::PRI,
        // An error or hang-up is told whatever one asks for, once is enough.
        Interest::Nothing => EventFlags::ET,
    }
}

fn token(source: Source) -> u64 {
    let (kind, key): (u64, Key) = match source {
        Source::Signals => (0, 0),
        Source::Listener => (1, 0),
        Source::Client(key) => (2, key),
        Source::Output(key, Stream::Stdout) => (3, key),
        Source::Output(key, Stream::Stderr) => (4, key),
        Source::Input(key) => (5, key),
        Source::OutOfMemory(key) => (6, key),
        Source::AttachInput(key) => (7, key),
        Source::Doomed(key) => (8, key),
    };
    kind << KEY_BITS | key
}

fn source(token: u64) -> Option<Source> {
    let key = token & ((1 << KEY_BITS) - 1);
    Some(match token >> KEY_BITS {
        0 => Source::Signals,
        1 => Source::Listener,
        2 => Source::Client(key),
        3 => Source::Output(key, Stream::Stdout),
        4 => Source::Output(key, Stream::Stderr),
        5 => Source::Input(key),
        6 => Source::OutOfMemory(key),
        7 => Source::AttachInput(key),
        8 => Source::Doomed(key),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_back() {
        let key = (1 << KEY_BITS) - 1;
        let sources = [
            Source::Signals,
            Source::Listener,
            Source::Client(1),
            Source::Output(2, Stream::Stdout),
            Source::Output(key, Stream::Stderr),
            Source::Input(key),
            Source::OutOfMemory(3),
            Source::AttachInput(4),
            Source::Doomed(5),
        ];
        for expected in sources {
            assert_eq!(source(token(expected)), Some(expected));
        }
        assert_eq!(source(u64::MAX), None);
    }

    #[test]
    fn a_ready_descriptor_is_told_and_a_removed_one_is_not() {
        let poll = Poll::new().unwrap();
        let (read, write) = rustix::pipe::pipe().unwrap();
        poll.add(&read, Source::Client(7), Interest::Read).unwrap();
        assert_eq!(poll.wait(Some(Duration::ZERO)).unwrap(), []);
        rustix::io::write(&write, b"x").unwrap();
        assert_eq!(poll.wait(None).unwrap(), [Source::Client(7)]);
        poll.change(&read, Source::Client(7), Interest::Nothing).unwrap();
        assert_eq!(poll.wait(Some(Duration::ZERO)).unwrap(), []);
        poll.change(&read, Source::Client(7), Interest::Read).unwrap();
        poll.remove(&read);
        assert_eq!(poll.wait(Some(Duration::ZERO)).unwrap(), []);
    }
}
