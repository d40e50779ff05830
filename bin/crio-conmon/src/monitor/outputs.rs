//! Containers' output: into the log, and to whoever is attached.

use std::os::fd::AsFd;

use super::Monitor;
use super::attach::Attachment;
use super::container::Container;
use crate::output::Pumped;
use crate::poll::{Interest, Key, Source};
use crate::record::Stream;

/// How much of one stream is taken before others get their turn.
const TURN_BYTES: usize = 1 << 20;
/// How much is still taken from a stream when its container has ended. A pipe holds no more, and what somebody else goes
/// on writing is not the container's.
const DRAIN_BYTES: usize = 1 << 20;

impl Monitor {
    pub(super) fn output_ready(&mut self, key: Key, stream: Stream) {
        let pumped = self.pump(key, stream, TURN_BYTES);
        let Some(container) = self.containers.get_mut(&key) else {
            return;
        };
        match pumped {
            Pumped::Idle => {}
            Pumped::More if container.tty => {
                // An edge is told once; ask again for what is left.
                if let Some(output) = container.output(stream) {
                    drop(self.poll.change(output, Source::Output(key, stream), Interest::ReadEdge));
                }
            }
            Pumped::More => {}
            // A terminal that nobody has open may be opened again: the edge will tell.
            Pumped::Ended if container.tty => {}
            Pumped::Ended => {
                if let Some(output) = container.take_output(stream) {
                    self.poll.remove(&output);
                }
            }
        }
    }

    /// Takes what is left of a container that has ended, and closes the stream.
    pub(super) fn drain_output(&mut self, key: Key, stream: Stream) {
        self.pump(key, stream, DRAIN_BYTES);
        if let Some(output) = self.containers.get_mut(&key).and_then(|container| container.take_output(stream)) {
            self.poll.remove(&output);
        }
    }

    fn pump(&mut self, key: Key, stream: Stream, budget_bytes: usize) -> Pumped {
        let Some(container) = self.containers.get_mut(&key) else {
            return Pumped::Idle;
        };
        let Container { stdout, stderr, log, .. } = container;
        let output = match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        let Some(output) = output.as_ref() else {
            return Pumped::Idle;
        };
        let mut attached: Vec<&mut Attachment> =
            self.attachments.values_mut().filter(|attachment| attachment.container() == key).collect();
        let tap = |bytes: &[u8]| {
            for attachment in &mut attached {
                attachment.show(stream, bytes);
            }
        };
        let pumped = self.scratch.pump(output.as_fd(), stream, log.as_mut(), budget_bytes, tap);
        let over: Vec<_> = self.attachments.iter().filter_map(|(key, it)| it.over().map(|end| (*key, end))).collect();
        for (attachment, end) in over {
            self.end_attachment(attachment, end);
        }
        pumped
    }
}
