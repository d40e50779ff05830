//! One connection to a monitor: numbers the calls, sends them, and hands the answers to those who wait.
//!
//! A reader task owns the receiving side; it ends with the connection, and the connection ends with its last user. The
//! table of waiting calls is locked only to add, take or clear entries, never across an await.

use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crio_monitor_protocol::{
    Answer, Call, Event, Failure, MAX_MESSAGE_BYTES, Message, Request, SOCKET_NAME, VERSION, decode, encode,
};
use crio_sys::seqpacket::SeqPacket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::task::JoinHandle;

use super::SHORT_CALL;
use super::error::{ConnectError, MonitorError};
use super::pending::Pending;

/// Events kept for a subscriber that is behind; a slower one must list again.
const EVENT_BACKLOG: usize = 1024;

/// A connection and the task that reads from it.
#[derive(Debug)]
pub(super) struct Connection {
    shared: Arc<Shared>,
    reader: JoinHandle<()>,
    pid: OnceLock<u32>,
}

#[derive(Debug)]
struct Shared {
    socket: AsyncFd<SeqPacket>,
    directory: PathBuf,
    next_number: AtomicU64,
    waiting: Mutex<Waiting>,
    events: broadcast::Sender<Event>,
    closed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Waiting {
    calls: HashMap<u64, Waiter>,
    closed: bool,
}

#[derive(Debug)]
struct Waiter {
    reply: oneshot::Sender<Result<Answer, Failure>>,
    console: Option<oneshot::Sender<OwnedFd>>,
}

/// Whether a call expects a terminal before its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    Reply,
    Console,
}

impl Connection {
    /// Connects and greets. A monitor that is just dying may still take a connection, and closes it when its end is
    /// complete; a second attempt then finds nobody, which is the truth.
    pub(super) async fn open(directory: &Path) -> Result<Arc<Self>, ConnectError> {
        match Self::greet(connect(directory)?, directory).await {
            Err(ConnectError::Greeting { source: MonitorError::Gone { .. }, .. }) => {
                Self::greet(connect(directory)?, directory).await
            }
            other => other,
        }
    }

    /// Greets over a socket that is connected already.
    async fn greet(socket: SeqPacket, directory: &Path) -> Result<Arc<Self>, ConnectError> {
        let socket =
            watch(socket).map_err(|source| ConnectError::Connect { directory: directory.to_owned(), source })?;
        let shared = Arc::new(Shared {
            socket,
            directory: directory.to_owned(),
            next_number: AtomicU64::new(1),
            waiting: Mutex::default(),
            events: broadcast::Sender::new(EVENT_BACKLOG),
            closed: watch::Sender::new(false),
        });
        let reader = tokio::spawn(read_messages(Arc::clone(&shared)));
        let connection = Arc::new(Self { shared, reader, pid: OnceLock::new() });
        let greeting = |source| ConnectError::Greeting { directory: directory.to_owned(), source };
        let hello =
            connection.call("hello", Call::Hello { version: VERSION }, &[], SHORT_CALL).await.map_err(greeting)?;
        let Answer::Hello { pid, .. } = hello else {
            return Err(greeting(MonitorError::Confused { call: "hello" }));
        };
        // Only this place sets it.
        let _already = connection.pid.set(pid);
        Ok(connection)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.shared.directory
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.get().copied().unwrap_or_default()
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    pub(super) async fn closed(&self) {
        let mut closed = self.shared.closed.subscribe();
        // The sender lives as long as `self`, so this ends only when the flag is raised.
        drop(closed.wait_for(|closed| *closed).await);
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.shared.closed.borrow()
    }

    /// Sends a call and waits for its answer.
    pub(super) async fn call(
        self: &Arc<Self>,
        name: &'static str,
        call: Call,
        descriptors: &[BorrowedFd<'_>],
        limit: Duration,
    ) -> Result<Answer, MonitorError> {
        let work = async {
            let mut pending = self.send(name, call, descriptors, Expect::Reply).await?;
            pending.answer().await
        };
        match tokio::time::timeout(limit, work).await {
            Ok(answer) => answer,
            Err(_) => Err(MonitorError::Unresponsive { call: name, waited: limit }),
        }
    }

    /// Sends a call.
    pub(super) async fn send(
        self: &Arc<Self>,
        name: &'static str,
        call: Call,
        descriptors: &[BorrowedFd<'_>],
        expect: Expect,
    ) -> Result<Pending, MonitorError> {
        let number = self.new_number();
        let bytes = encode(&Request { number, call }).map_err(|source| MonitorError::Encode { call: name, source })?;
        let (reply_sender, reply) = oneshot::channel();
        let (console_sender, console) = match expect {
            Expect::Reply => (None, None),
            Expect::Console => {
                let (sender, receiver) = oneshot::channel();
                (Some(sender), Some(receiver))
            }
        };
        self.shared.register(number, Waiter { reply: reply_sender, console: console_sender })?;
        let mut pending = Pending { connection: Arc::clone(self), name, number, reply, console, answered: false };
        let sent = self.shared.socket.async_io(Interest::WRITABLE, |socket| socket.send(&bytes, descriptors)).await;
        match sent {
            Ok(()) => Ok(pending),
            Err(source) => {
                self.shared.waiting().calls.remove(&number);
                pending.answered = true;
                Err(match source.kind() {
                    std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => self.shared.gone(),
                    _ => MonitorError::Send { call: name, source },
                })
            }
        }
    }
}

impl Connection {
    /// The error of a call whose monitor is gone.
    pub(super) fn gone(&self) -> MonitorError {
        self.shared.gone()
    }

    /// Forgets a call and has the monitor end what it began.
    pub(super) fn cancel(&self, number: u64) {
        self.shared.waiting().calls.remove(&number);
        let cancel = Request { number: self.new_number(), call: Call::Cancel { number } };
        if let Ok(bytes) = encode(&cancel) {
            // When the socket is full or closed the monitor learns from the deadline or from the closed connection.
            drop(self.shared.socket.get_ref().send(&bytes, &[]));
        }
    }

    fn new_number(&self) -> u64 {
        self.shared.next_number.fetch_add(1, Ordering::Relaxed)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, number: u64, waiter: Waiter) -> Result<(), MonitorError> {
        let mut waiting = self.waiting();
        if waiting.closed {
            return Err(self.gone());
        }
        waiting.calls.insert(number, waiter);
        Ok(())
    }

    fn gone(&self) -> MonitorError {
        MonitorError::Gone { directory: self.directory.clone() }
    }

    /// Fails every waiting call, by dropping the senders, and all later ones.
    fn close(&self) {
        let calls = {
            let mut waiting = self.waiting();
            waiting.closed = true;
            std::mem::take(&mut waiting.calls)
        };
        drop(calls);
        self.closed.send_replace(true);
    }

    fn deliver(&self, message: Message, descriptors: Vec<OwnedFd>) {
        match message {
            Message::Reply { number, result } => {
                let waiter = self.waiting().calls.remove(&number);
                if let Some(waiter) = waiter {
                    // The caller may have gone away meanwhile.
                    drop(waiter.reply.send(result));
                }
            }
            Message::Console { number } => {
                let sender = self.waiting().calls.get_mut(&number).and_then(|waiter| waiter.console.take());
                if let (Some(sender), Some(terminal)) = (sender, descriptors.into_iter().next()) {
                    drop(sender.send(terminal));
                }
            }
            // Nobody may be listening at the moment.
            Message::Event(event) => drop(self.events.send(event)),
        }
    }
}

#[expect(deprecated, reason = "its unsafe successor asks that the descriptor stays the same, which an owned one does")]
fn watch(socket: SeqPacket) -> std::io::Result<AsyncFd<SeqPacket>> {
    AsyncFd::with_interest(socket, Interest::READABLE | Interest::WRITABLE)
}

fn connect(directory: &Path) -> Result<SeqPacket, ConnectError> {
    SeqPacket::connect(directory, SOCKET_NAME).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
            ConnectError::Absent { directory: directory.to_owned() }
        }
        _ => ConnectError::Connect { directory: directory.to_owned(), source },
    })
}

/// Reads until the monitor is gone. A message we cannot read ends the conversation as well: whoever waits for it would
/// wait for ever.
async fn read_messages(shared: Arc<Shared>) {
    let mut buffer = vec![0u8; MAX_MESSAGE_BYTES];
    loop {
        let received = shared.socket.async_io(Interest::READABLE, |socket| socket.receive(&mut buffer)).await;
        let message = match received {
            Ok(received) if received.length > 0 => {
                let decoded = decode::<Message>(&buffer[..received.length]);
                decoded.map(|message| (message, received.descriptors)).ok()
            }
            Ok(_) | Err(_) => None,
        };
        let Some((message, descriptors)) = message else { break };
        shared.deliver(message, descriptors);
    }
    shared.close();
}
