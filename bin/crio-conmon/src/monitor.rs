//! The monitor: its tables and its loop.
//!
//! Everything happens in answer to one event, and no answer waits for anything: a runtime command is started and its
//! end is another event. The tables are bounded. Each module below handles one matter; this one only knows who is told
//! of what.

mod attach;
mod checkpoint;
mod clients;
mod container;
mod create;
mod exec;
mod exec_end;
mod exits;
mod outputs;
mod removal;
mod requests;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crio_monitor_protocol::{Failure, FailureKind, SOCKET_NAME};
use crio_sys::process::Ended;
use crio_sys::seqpacket::SeqPacketListener;
use crio_sys::signalfd::SignalFd;
use crio_types::ContainerId;

use crate::arguments::Arguments;
use crate::exit_record::ExitRecords;
use crate::oom::PodKills;
use crate::output::Scratch;
use crate::poll::{Interest, Key, Poll, Source};
use crate::reaped::Reaped;
use crate::runtime::{Launcher, Running};
use crate::setup::Foundation;
use crate::timers::{Due, Timer, Timers};
use crate::tree;

use attach::Attachment;
use clients::Client;
use container::Container;
use exec::Exec;

/// How long a monitor stays that has neither a container nor a client. The daemon may be away for an upgrade.
const IDLE_LIMIT: Duration = Duration::from_secs(600);
/// The most containers of one pod.
const CONTAINERS_MAX: usize = 1024;
/// The most execs at one time.
const EXECS_MAX: usize = 512;
/// The most attached clients at one time.
const ATTACHMENTS_MAX: usize = 256;
/// The most connections at one time.
const CLIENTS_MAX: usize = 16;

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Caller {
    client: Key,
    number: u64,
}

/// A runtime command at work.
#[derive(Debug)]
struct Command {
    running: Running,
    purpose: Purpose,
    timer: Timer,
    /// What the runtime reads through our descriptor, kept open as long as it may.
    _payload: Option<OwnedFd>,
    /// It was killed, and why.
    cut: Option<Cut>,
}

/// Why a runtime command was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// It took too long.
    Overdue,
    /// Nobody wants it any more.
    Cancelled,
}

/// What a runtime command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Making the container, also out of a checkpoint.
    Create(Key),
    /// Starting the container, for a caller.
    Start(Key, Caller),
    /// Launching the exec.
    Exec(Key),
    /// Changing limits, for a caller.
    Update(Caller),
    /// Writing the state of the container's processes, for a caller.
    Checkpoint(Key, Caller),
    /// Deleting the container.
    Delete(Key),
}

/// How a runtime command went.
type CommandResult = Result<(), Failure>;

/// Whether the monitor goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It does.
    Serving,
    /// It ends with its last container.
    Leaving,
    /// It ends now.
    Done,
}

/// The monitor of one pod.
#[derive(Debug)]
pub(crate) struct Monitor {
    poll: Poll,
    timers: Timers,
    foundation: Foundation,
    launcher: Launcher,
    records: ExitRecords,
    scratch: Scratch,
    /// Where messages are read into.
    message: Vec<u8>,
    reaped: Reaped,
    clients: BTreeMap<Key, Client>,
    containers: BTreeMap<Key, Container>,
    names: BTreeMap<ContainerId, Key>,
    execs: BTreeMap<Key, Exec>,
    attachments: BTreeMap<Key, Attachment>,
    commands: BTreeMap<Key, Command>,
    pod_kills: PodKills,
    last_key: Key,
    idle: Option<Timer>,
    /// More than waiting and copying was done since the program's pages were given back.
    worked: bool,
    phase: Phase,
}

impl Monitor {
    /// A monitor on its foundation.
    pub(crate) fn new(arguments: Arguments, foundation: Foundation) -> std::io::Result<Self> {
        let poll = Poll::new()?;
        let signals: &SignalFd = &foundation.signals;
        poll.add(signals, Source::Signals, Interest::Read)?;
        let listener: &SeqPacketListener = &foundation.listener;
        poll.add(listener, Source::Listener, Interest::Read)?;
        let launcher = Launcher::new(foundation.child_limit)?;
        let records = ExitRecords { directory: arguments.directory, exits_directory: arguments.exits_directory };
        Ok(Self {
            poll,
            timers: Timers::default(),
            foundation,
            launcher,
            records,
            scratch: Scratch::default(),
            message: Vec::new(),
            reaped: Reaped::default(),
            clients: BTreeMap::new(),
            containers: BTreeMap::new(),
            names: BTreeMap::new(),
            execs: BTreeMap::new(),
            attachments: BTreeMap::new(),
            commands: BTreeMap::new(),
            pod_kills: PodKills::default(),
            last_key: 0,
            idle: None,
            worked: true,
            phase: Phase::Serving,
        })
    }

    /// Serves until there is a reason to end.
    pub(crate) fn run(&mut self) -> std::io::Result<()> {
        self.watch_idleness();
        while self.phase != Phase::Done {
            for source in self.poll.wait(self.timers.until_next())? {
                self.ready(source);
            }
            while let Some(due) = self.timers.next_due() {
                self.due(due);
            }
            self.watch_idleness();
            self.rest();
        }
        // A client that comes too late finds nobody instead of a silent socket.
        drop(std::fs::remove_file(self.records.directory.join(SOCKET_NAME)));
        Ok(())
    }

    fn ready(&mut self, source: Source) {
        match source {
            Source::Signals => self.signals_arrived(),
            Source::Listener => self.accept_clients(),
            Source::Client(key) => self.client_ready(key),
            Source::Output(key, stream) => self.output_ready(key, stream),
            Source::Input(key) => self.flush_input(key),
            Source::OutOfMemory(key) => self.count_oom_kills(key),
            Source::AttachInput(key) => self.attached_input_ready(key),
            Source::Doomed(key) => self.advance_exec_end(key),
        }
    }

    fn due(&mut self, due: Due) {
        match due {
            Due::Command(key) => self.cut_command(key, Cut::Overdue),
            Due::Exec(key) => self.exec_overdue(key),
            Due::ExecEnd(key) => self.exec_end_overdue(key),
            Due::Removal(key) => self.removal_overdue(key),
            Due::Idle => self.phase = Phase::Done,
        }
    }

    fn watch_idleness(&mut self) {
        let idle = self.containers.is_empty() && self.clients.is_empty() && self.commands.is_empty();
        match (idle, self.idle) {
            (true, None) => self.idle = Some(self.timers.set(IDLE_LIMIT, Due::Idle)),
            (false, Some(timer)) => {
                self.timers.cancel(timer);
                self.idle = None;
            }
            _ => {}
        }
        if self.phase == Phase::Leaving && self.containers.is_empty() {
            self.phase = Phase::Done;
        }
    }

    /// Gives the memory back that setting up and running commands took, once the last command has ended: what is left to do
    /// is to wait and to copy output, which needs little of the program.
    fn rest(&mut self) {
        if self.worked && self.commands.is_empty() {
            crio_sys::memory::release_program_pages();
            self.worked = false;
        }
    }

    fn new_key(&mut self) -> Key {
        self.last_key += 1;
        self.last_key
    }

    /// Keeps track of a command that was started.
    fn track(&mut self, running: Running, purpose: Purpose, limit: Duration, payload: Option<OwnedFd>) {
        let key = self.new_key();
        let timer = self.timers.set(limit, Due::Command(key));
        self.worked = true;
        self.commands.insert(key, Command { running, purpose, timer, _payload: payload, cut: None });
    }

    /// A command took too long, or for nothing: it and what it started is killed. Its end is then an event like any other.
    fn cut_command(&mut self, key: Key, cut: Cut) {
        let Some(command) = self.commands.get_mut(&key) else {
            return;
        };
        command.cut = Some(cut);
        let doomed =
            tree::Command { roots: vec![command.running.pid], spared: self.spared(None), ..tree::Command::default() };
        drop(doomed.kill());
    }

    fn command_ended(&mut self, key: Key, ended: Ended) {
        let Some(mut command) = self.commands.remove(&key) else {
            return;
        };
        self.timers.cancel(command.timer);
        let result: CommandResult = if ended == Ended::Exited(0) {
            Ok(())
        } else {
            Err(match command.cut {
                Some(Cut::Overdue) => failure(FailureKind::DeadlineExceeded, "the runtime did not finish in time"),
                Some(Cut::Cancelled) => failure(FailureKind::Cancelled, "the call was cancelled"),
                None => failure(FailureKind::Runtime, command.running.failure(ended)),
            })
        };
        match command.purpose {
            Purpose::Create(container) => self.create_ended(container, result),
            Purpose::Start(container, caller) => self.start_ended(container, caller, result),
            Purpose::Exec(exec) => self.exec_launched(exec, result),
            Purpose::Update(caller) | Purpose::Checkpoint(_, caller) => self.done(caller, result),
            Purpose::Delete(container) => self.delete_ended(container, result),
        }
        if !self.commands.values().any(|command| matches!(command.purpose, Purpose::Create(_) | Purpose::Exec(_))) {
            self.reaped.clear();
        }
    }
}

/// A refusal.
fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure { kind, message: message.into() }
}

/// A refusal by the operating system.
fn refused(attempt: &str, error: &std::io::Error) -> Failure {
    failure(FailureKind::Internal, format!("cannot {attempt}: {error}"))
}
