//! Calls: each goes to whoever handles it, with its descriptors counted and named.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crio_monitor_protocol::{
    Answer, Call, ContainerEntry, Failure, FailureKind, MAX_LIST_ENTRIES, SignalScope, Streams,
};
use crio_types::{ContainerId, Signal};

use super::container::State;
use super::create::Making;
use super::{Caller, CommandResult, Monitor, Phase, Purpose, failure, refused};
use crate::poll::Key;
use crate::runtime::{CommandStreams, own_path};

impl Monitor {
    pub(super) fn called(&mut self, caller: Caller, call: Call, descriptors: Vec<OwnedFd>) {
        let result = match call {
            Call::Hello { .. } => Ok(()),
            Call::Create(request) => self.create(caller, *request, &Making::New),
            Call::Restore { container, files } => self.create(caller, *container, &Making::Restored(files)),
            Call::Checkpoint { id, files, deadline_ms } => {
                self.checkpoint(caller, &id, &files, Duration::from_millis(deadline_ms))
            }
            Call::Start { id, deadline_ms } => self.start(caller, &id, Duration::from_millis(deadline_ms)),
            Call::Signal { id, signal, scope } => self.signal(&id, signal, scope).map(|()| self.done(caller, Ok(()))),
            Call::Exec { id, streams, deadline_ms } => {
                self.exec(caller, &id, streams, deadline_ms.map(Duration::from_millis), descriptors)
            }
            Call::Cancel { number } => {
                self.cancel(Caller { number, ..caller });
                self.done(caller, Ok(()));
                Ok(())
            }
            Call::Update { id, deadline_ms } => {
                self.update(caller, &id, Duration::from_millis(deadline_ms), descriptors)
            }
            Call::ReopenLog { id } => self.reopen_log(&id).map(|()| self.done(caller, Ok(()))),
            Call::Attach { id, streams } => self.attach(caller, &id, streams, descriptors),
            Call::Resize { id, height, width } => self.resize(&id, height, width).map(|()| self.done(caller, Ok(()))),
            Call::Remove { id, deadline_ms } => {
                self.remove(caller, &id, Duration::from_millis(deadline_ms));
                Ok(())
            }
            Call::List { after } => {
                self.list(caller, after.as_ref());
                Ok(())
            }
            Call::Shutdown => self.shutdown(caller),
        };
        if let Err(failure) = result {
            self.reply(caller, Err(failure));
        }
    }

    /// The container of this name.
    pub(super) fn find(&self, id: &ContainerId) -> Result<Key, Failure> {
        let unknown = || failure(FailureKind::NotFound, format!("the monitor has no container {id}"));
        self.names.get(id).copied().ok_or_else(unknown)
    }

    /// The running container of this name.
    pub(super) fn find_running(&self, id: &ContainerId) -> Result<Key, Failure> {
        let key = self.find(id)?;
        match self.containers.get(&key).map(|container| &container.state) {
            Some(State::Running) => Ok(key),
            _ => Err(failure(FailureKind::FailedPrecondition, format!("container {id} is not running"))),
        }
    }

    fn start(&mut self, caller: Caller, id: &ContainerId, limit: Duration) -> CommandResult {
        let key = self.find(id)?;
        let not_now = |why| failure(FailureKind::FailedPrecondition, format!("container {id} {why}"));
        let container = self.containers.get_mut(&key).ok_or_else(|| not_now("is gone"))?;
        if container.starting {
            return Err(not_now("is being started"));
        }
        match &container.state {
            State::Created => {}
            State::Creating { .. } | State::Failing { .. } => return Err(not_now("is being created")),
            State::Running => return Err(not_now("is already running")),
            State::Exited(_) => return Err(not_now("has already exited")),
        }
        let words = [id.as_str().into()];
        let running = self.launcher.start(&container.runtime, "start", words, CommandStreams::default());
        let running = running.map_err(|error| refused("run the runtime", &error))?;
        container.starting = true;
        self.track(running, Purpose::Start(key, caller), limit, None);
        Ok(())
    }

    pub(super) fn start_ended(&mut self, key: Key, caller: Caller, result: CommandResult) {
        let Some(container) = self.containers.get_mut(&key) else {
            return;
        };
        container.starting = false;
        if result.is_ok() && matches!(container.state, State::Created) {
            container.state = State::Running;
        }
        let ended = container.ended.take();
        self.done(caller, result);
        if let Some(ended) = ended {
            self.finish(key, ended);
        }
    }

    fn signal(&mut self, id: &ContainerId, signal: Signal, scope: SignalScope) -> CommandResult {
        let key = self.find(id)?;
        let ended = || failure(FailureKind::FailedPrecondition, format!("container {id} is not running"));
        let container = self.containers.get(&key).ok_or_else(ended)?;
        if !matches!(container.state, State::Created | State::Running) || container.ended.is_some() {
            return Err(ended());
        }
        let init = container.init.as_ref().ok_or_else(ended)?;
        if scope == SignalScope::All {
            container.signal_cgroup(signal.number());
        }
        let refused = |error: std::io::Error| refused("send the signal", &error);
        match init.handle.signal(signal.number()) {
            // It has just ended; the news is on its way.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Err(ended()),
            other => other.map_err(refused),
        }
    }

    fn update(
        &mut self,
        caller: Caller,
        id: &ContainerId,
        limit: Duration,
        descriptors: Vec<OwnedFd>,
    ) -> CommandResult {
        let key = self.find(id)?;
        let [resources]: [OwnedFd; 1] = descriptors.try_into().map_err(|_| wrong_descriptors())?;
        let gone = || failure(FailureKind::FailedPrecondition, format!("container {id} is not running"));
        let container = self.containers.get_mut(&key).ok_or_else(gone)?;
        if !matches!(container.state, State::Created | State::Running) {
            return Err(gone());
        }
        let words = ["--resources".into(), own_path(&resources).into(), id.as_str().into()];
        let running = self.launcher.start(&container.runtime, "update", words, CommandStreams::default());
        let running = running.map_err(|error| refused("run the runtime", &error))?;
        self.track(running, Purpose::Update(caller), limit, Some(resources));
        Ok(())
    }

    fn reopen_log(&mut self, id: &ContainerId) -> CommandResult {
        let key = self.find_running(id)?;
        let none = || failure(FailureKind::FailedPrecondition, format!("container {id} has no log"));
        let log = self.containers.get_mut(&key).and_then(|container| container.log.as_mut()).ok_or_else(none)?;
        log.reopen().map_err(|error| refused("reopen the log", &error))
    }

    fn resize(&mut self, id: &ContainerId, height: u16, width: u16) -> CommandResult {
        let key = self.find(id)?;
        let none = || failure(FailureKind::FailedPrecondition, format!("container {id} has no terminal"));
        let container = self.containers.get(&key).filter(|container| container.tty).ok_or_else(none)?;
        let terminal = container.stdout.as_ref().ok_or_else(none)?;
        let size = rustix::termios::Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(terminal, size).map_err(|error| refused("resize the terminal", &error.into()))
    }

    fn list(&mut self, caller: Caller, after: Option<&ContainerId>) {
        let named = self.names.iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
        let mut entries = named.filter_map(|(_, key)| self.containers.get(key)).filter_map(container_entry);
        let containers: Vec<ContainerEntry> = entries.by_ref().take(MAX_LIST_ENTRIES).collect();
        let more = entries.next().is_some();
        self.reply(caller, Ok(Answer::Containers { containers, more }));
    }

    fn shutdown(&mut self, caller: Caller) -> CommandResult {
        if !self.containers.is_empty() {
            let message = format!("the monitor still has {} containers", self.containers.len());
            return Err(failure(FailureKind::FailedPrecondition, message));
        }
        self.done(caller, Ok(()));
        self.phase = Phase::Done;
        Ok(())
    }

    /// Ends what an earlier call of the client began.
    fn cancel(&mut self, caller: Caller) {
        let exec = self.execs.iter().find(|(_, exec)| exec.caller == caller).map(|(key, _)| *key);
        if let Some(key) = exec {
            self.cancel_exec(key);
        }
        let attachment = self.attachments.iter().find(|(_, it)| it.caller() == caller).map(|(key, _)| *key);
        if let Some(key) = attachment {
            self.end_attachment(key, crio_monitor_protocol::AttachEnd::Cancelled);
        }
        self.cancel_checkpoints(|other| *other == caller);
    }
}

/// The three standard streams that came with a call, by name.
#[derive(Debug, Default)]
pub(super) struct PassedStreams {
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
}

impl PassedStreams {
    /// Gives descriptors their names.
    pub(super) fn new(streams: Streams, descriptors: Vec<OwnedFd>) -> Result<Self, Failure> {
        if descriptors.len() != streams.count() {
            return Err(wrong_descriptors());
        }
        let mut descriptors = descriptors.into_iter();
        let mut next = |wanted: bool| if wanted { descriptors.next() } else { None };
        Ok(Self { stdin: next(streams.stdin), stdout: next(streams.stdout), stderr: next(streams.stderr) })
    }
}

pub(super) fn wrong_descriptors() -> Failure {
    failure(FailureKind::InvalidArgument, "the call came with the wrong number of descriptors")
}

fn container_entry(container: &super::Container) -> Option<ContainerEntry> {
    let (pid, start_time) = container.init.as_ref().map_or((0, 0), |init| (init.pid, init.start_time));
    let state = container.state.published()?;
    Some(ContainerEntry { id: container.id.clone(), state, pid, start_time })
}
