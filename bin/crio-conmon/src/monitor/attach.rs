//! Attached clients: they see a container's output from now on and may feed its input.
//!
//! Nobody waits for a client. Its pipes are its buffer; when one is full the client is let go. Input flows the other way at
//! the container's pace: while the container does not take it, no more is read from the clients.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use crio_monitor_protocol::{Answer, AttachEnd, FailureKind, Streams};
use crio_types::ContainerId;
use rustix::io::Errno;

use super::requests::PassedStreams;
use super::{ATTACHMENTS_MAX, Caller, CommandResult, Monitor, failure, refused};
use crate::poll::{Interest, Key, Source};
use crate::record::Stream;

/// How much input is taken at once, and so how much may wait for a container.
const INPUT_BYTES: usize = 16 * 1024;

/// An attached client.
#[derive(Debug)]
pub(super) struct Attachment {
    caller: Caller,
    container: Key,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    over: Option<AttachEnd>,
}

impl Attachment {
    pub(super) fn caller(&self) -> Caller {
        self.caller
    }

    pub(super) fn container(&self) -> Key {
        self.container
    }

    /// Why it must end, if it must.
    pub(super) fn over(&self) -> Option<AttachEnd> {
        self.over
    }

    /// Shows output to the client, if its pipe has room for all of it.
    pub(super) fn show(&mut self, stream: Stream, bytes: &[u8]) {
        let target = match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        };
        let Some(target) = target.as_ref().filter(|_| self.over.is_none()) else {
            return;
        };
        self.over = match rustix::io::retry_on_intr(|| rustix::io::write(target, bytes)) {
            Ok(length) if length == bytes.len() => None,
            Ok(_) | Err(Errno::AGAIN) => Some(AttachEnd::TooSlow),
            Err(_) => Some(AttachEnd::Closed),
        };
    }
}

impl Monitor {
    pub(super) fn attach(
        &mut self,
        caller: Caller,
        id: &ContainerId,
        streams: Streams,
        descriptors: Vec<OwnedFd>,
    ) -> CommandResult {
        let container = self.find_running(id)?;
        if self.attachments.len() >= ATTACHMENTS_MAX {
            return Err(failure(FailureKind::ResourceExhausted, "too many clients are attached"));
        }
        let PassedStreams { stdin, stdout, stderr } = PassedStreams::new(streams, descriptors)?;
        let prepare = |error: Errno| refused("prepare the client's streams", &error.into());
        for descriptor in [&stdin, &stdout, &stderr].into_iter().flatten() {
            rustix::io::ioctl_fionbio(descriptor, true).map_err(prepare)?;
        }
        let takes_input = self.containers.get(&container).is_some_and(|container| container.input.is_some());
        let stdin = stdin.filter(|_| takes_input);
        let key = self.new_key();
        if let Some(stdin) = &stdin {
            let added = self.poll.add(stdin, Source::AttachInput(key), Interest::Read);
            added.map_err(|error| refused("watch the client's input", &error))?;
        }
        self.attachments.insert(key, Attachment { caller, container, stdin, stdout, stderr, over: None });
        Ok(())
    }

    pub(super) fn end_attachment(&mut self, key: Key, end: AttachEnd) {
        let Some(attachment) = self.attachments.remove(&key) else {
            return;
        };
        if let Some(stdin) = &attachment.stdin {
            self.poll.remove(stdin);
        }
        self.reply(attachment.caller, Ok(Answer::AttachEnded(end)));
    }

    pub(super) fn end_attachments(&mut self, container: Key, end: AttachEnd) {
        for key in self.attachments_of(container) {
            self.end_attachment(key, end);
        }
    }

    fn attachments_of(&self, container: Key) -> Vec<Key> {
        self.attachments.iter().filter(|(_, it)| it.container == container).map(|(key, _)| *key).collect()
    }

    pub(super) fn attached_input_ready(&mut self, key: Key) {
        let Some(attachment) = self.attachments.get_mut(&key) else {
            return;
        };
        let Some(stdin) = &attachment.stdin else { return };
        let container_key = attachment.container;
        let Some(container) = self.containers.get_mut(&container_key) else {
            return;
        };
        let Some(input) = container.input.as_mut() else {
            self.input_ended(key);
            return;
        };
        if !input.pending.is_empty() {
            return;
        }
        let mut buffer = [0u8; INPUT_BYTES];
        match rustix::io::read(stdin, &mut buffer) {
            Ok(0) => self.input_ended(key),
            Ok(length) => {
                input.pending.extend(&buffer[..length]);
                self.flush_input(container_key);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.input_ended(key),
        }
    }

    /// A client's input is over.
    fn input_ended(&mut self, key: Key) {
        let Some(attachment) = self.attachments.get_mut(&key) else {
            return;
        };
        if let Some(stdin) = attachment.stdin.take() {
            self.poll.remove(&stdin);
        }
        let Some(container) = self.containers.get_mut(&attachment.container) else {
            return;
        };
        if container.stdin_once {
            // Not before the container took what was sent.
            container.input_closing = true;
            let container_key = attachment.container;
            self.flush_input(container_key);
        } else if !container.tty {
            self.end_attachment(key, AttachEnd::Closed);
        }
    }

    /// Writes what waits for a container, as far as it takes it, and lets clients go on when all is written.
    pub(super) fn flush_input(&mut self, key: Key) {
        let Some(container) = self.containers.get_mut(&key) else {
            return;
        };
        let Some(input) = container.input.as_mut() else { return };
        let outcome = write_out(&input.descriptor, &mut input.pending);
        let closing = container.input_closing;
        match outcome {
            Ok(()) if closing && input.pending.is_empty() => self.close_input(key),
            // It closed its input. Clients may go on watching.
            Err(_) => self.close_input(key),
            Ok(()) => {
                let stalled = !input.pending.is_empty();
                if stalled != input.watched {
                    input.watched = stalled;
                    if stalled {
                        let watched = self.poll.add(&input.descriptor, Source::Input(key), Interest::Write);
                        if watched.is_err() {
                            self.close_input(key);
                            return;
                        }
                    } else {
                        self.poll.remove(&input.descriptor);
                    }
                    self.pause_clients(key, if stalled { Interest::Nothing } else { Interest::Read });
                }
            }
        }
    }

    fn close_input(&mut self, key: Key) {
        let Some(container) = self.containers.get_mut(&key) else {
            return;
        };
        if let Some(input) = container.input.take()
            && input.watched
        {
            self.poll.remove(&input.descriptor);
        }
        for attachment in self.attachments_of(key) {
            if let Some(stdin) = self.attachments.get_mut(&attachment).and_then(|it| it.stdin.take()) {
                self.poll.remove(&stdin);
            }
        }
    }

    fn pause_clients(&self, container: Key, interest: Interest) {
        for (key, attachment) in self.attachments.iter().filter(|(_, it)| it.container == container) {
            if let Some(stdin) = &attachment.stdin {
                // The registration exists as long as the descriptor is here.
                drop(self.poll.change(stdin, Source::AttachInput(*key), interest));
            }
        }
    }
}

/// Writes until all is written or there is no room.
fn write_out(target: &OwnedFd, pending: &mut VecDeque<u8>) -> Result<(), Errno> {
    while !pending.is_empty() {
        match rustix::io::write(target, pending.as_slices().0) {
            Ok(length) => drop(pending.drain(..length)),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
