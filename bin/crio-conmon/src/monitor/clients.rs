//! Connections: who is there, what they say, and what they are told.
//!
//! A client that breaks the rules or stops reading is dropped; it finds everything it missed when it lists anew. What a
//! client began and only it can use, its execs, attachments and checkpoints, ends with its connection.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use crio_monitor_protocol::{
    Answer, AnyRequest, Call, Event, Failure, FailureKind, MAX_MESSAGE_BYTES, Message, Request, UNKNOWN_CALL, VERSION,
    decode, encode,
};
use crio_sys::seqpacket::SeqPacket;

use super::{CLIENTS_MAX, Caller, CommandResult, Monitor, failure};
use crate::poll::{Interest, Key, Source};

/// Messages kept for a client that is behind.
const BACKLOG_MAX: usize = 256;
/// Messages taken from one client before others get their turn.
const TURN: usize = 32;

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    socket: SeqPacket,
    greeted: bool,
    /// Room to send is waited for.
    stalled: bool,
    backlog: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
}

impl Monitor {
    pub(super) fn accept_clients(&mut self) {
        loop {
            let socket = match self.foundation.listener.accept() {
                Ok(socket) => socket,
                Err(error) if out_of_descriptors(&error) => {
                    self.foundation.refuse_connection();
                    return;
                }
                Err(_) => return,
            };
            let ours = rustix::process::geteuid().as_raw();
            let trusted = socket.peer_uid().is_ok_and(|uid| uid == ours);
            if !trusted || self.clients.len() >= CLIENTS_MAX {
                continue;
            }
            let key = self.new_key();
            if self.poll.add(&socket, Source::Client(key), Interest::Read).is_ok() {
                self.clients.insert(key, Client { socket, greeted: false, stalled: false, backlog: VecDeque::new() });
            }
        }
    }

    pub(super) fn client_ready(&mut self, key: Key) {
        self.send_backlog(key);
        let mut buffer = std::mem::take(&mut self.message);
        buffer.resize(MAX_MESSAGE_BYTES, 0);
        self.take_turn(key, &mut buffer);
        self.message = buffer;
    }

    fn take_turn(&mut self, key: Key, buffer: &mut [u8]) {
        for _ in 0..TURN {
            let Some(client) = self.clients.get(&key) else { return };
            match client.socket.receive(buffer) {
                Ok(received) if received.length > 0 => match decode::<Request>(&buffer[..received.length]) {
                    Ok(request) => self.requested(key, request, received.descriptors),
                    Err(_) => self.not_understood(key, &buffer[..received.length]),
                },
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => {
                    self.drop_client(key);
                    return;
                }
            }
        }
    }

    /// A call of a newer client is refused; what is no call at all ends the conversation.
    fn not_understood(&mut self, key: Key, message: &[u8]) {
        match decode::<AnyRequest>(message) {
            Ok(request) => {
                let caller = Caller { client: key, number: request.number };
                self.reply(caller, Err(failure(FailureKind::InvalidArgument, UNKNOWN_CALL)));
            }
            Err(_) => self.drop_client(key),
        }
    }

    fn requested(&mut self, key: Key, request: Request, descriptors: Vec<OwnedFd>) {
        let caller = Caller { client: key, number: request.number };
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        match request.call {
            Call::Hello { version } if version == VERSION => {
                client.greeted = true;
                let answer = Answer::Hello { version: VERSION, pid: std::process::id() };
                self.reply(caller, Ok(answer));
            }
            Call::Hello { version } => {
                let message = format!("this monitor speaks version {VERSION}, not {version}");
                self.reply(caller, Err(failure(FailureKind::InvalidArgument, message)));
            }
            _ if !client.greeted => self.drop_client(key),
            call => self.called(caller, call, descriptors),
        }
    }

    /// Answers a call.
    pub(super) fn reply(&mut self, caller: Caller, result: Result<Answer, Failure>) {
        self.tell(caller.client, &Message::Reply { number: caller.number, result }, None);
    }

    /// Answers a call that has nothing more to say.
    pub(super) fn done(&mut self, caller: Caller, result: CommandResult) {
        self.reply(caller, result.map(|()| Answer::Done));
    }

    /// Hands a terminal to whoever began the exec.
    pub(super) fn hand_over(&mut self, caller: Caller, terminal: OwnedFd) {
        self.tell(caller.client, &Message::Console { number: caller.number }, Some(terminal));
    }

    /// Tells everybody.
    pub(super) fn announce(&mut self, event: Event) {
        let message = Message::Event(event);
        let keys: Vec<Key> = self.clients.iter().filter(|(_, client)| client.greeted).map(|(key, _)| *key).collect();
        for key in keys {
            self.tell(key, &message, None);
        }
    }

    fn tell(&mut self, key: Key, message: &Message, descriptor: Option<OwnedFd>) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        let Ok(bytes) = encode(message) else {
            self.drop_client(key);
            return;
        };
        client.backlog.push_back((bytes, descriptor));
        if client.backlog.len() > BACKLOG_MAX {
            self.drop_client(key);
        } else if client.backlog.len() == 1 {
            self.send_backlog(key);
        }
    }

    fn send_backlog(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        while let Some((bytes, descriptor)) = client.backlog.front() {
            let descriptors: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
            match client.socket.send(bytes, &descriptors) {
                Ok(()) => {
                    client.backlog.pop_front();
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.drop_client(key);
                    return;
                }
            }
        }
        let stalled = !client.backlog.is_empty();
        if stalled != client.stalled {
            client.stalled = stalled;
            let interest = if stalled { Interest::ReadWrite } else { Interest::Read };
            // The registration exists as long as the client does.
            drop(self.poll.change(&client.socket, Source::Client(key), interest));
        }
    }

    fn drop_client(&mut self, key: Key) {
        let Some(client) = self.clients.remove(&key) else {
            return;
        };
        self.poll.remove(&client.socket);
        let abandoned = |caller: &Caller| caller.client == key;
        let execs: Vec<Key> =
            self.execs.iter().filter(|(_, exec)| abandoned(&exec.caller)).map(|(key, _)| *key).collect();
        for exec in execs {
            self.cancel_exec(exec);
        }
        let attachments: Vec<Key> =
            self.attachments.iter().filter(|(_, it)| abandoned(&it.caller())).map(|(key, _)| *key).collect();
        for attachment in attachments {
            self.end_attachment(attachment, crio_monitor_protocol::AttachEnd::Cancelled);
        }
        self.cancel_checkpoints(abandoned);
    }
}

fn out_of_descriptors(error: &std::io::Error) -> bool {
    let exhausted = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(rustix::io::Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| exhausted.contains(&code))
}
