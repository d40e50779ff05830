//! Ends: children are collected, and the end of a container's first process becomes its exit.
//!
//! The order is what others rely on: the log is complete, then the exit is on record, then clients are told, then the
//! runtime is told to delete what is left. The evidence of an out-of-memory kill is read while the cgroup exists.

use std::time::Duration;

use crio_monitor_protocol::{AttachEnd, Event, Exit, ExitRecord};
use crio_sys::process::{self, Ended};
use crio_types::Timestamp;

use super::container::{Cleanup, State};
use super::{CommandResult, Monitor, Phase, Purpose, failure, refused};
use crate::oom;
use crate::poll::{Interest, Key, Source};
use crate::record::Stream;
use crate::runtime::CommandStreams;

/// Time the runtime has to delete a container that is over.
const DELETE_LIMIT: Duration = Duration::from_secs(30);
/// The exit code of a process that was killed.
const KILLED: i32 = 137;
const KILL: u8 = 9;

/// Who a collected child was, in the order in which ends are dealt with: an exec is over before its container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Child {
    Unknown,
    Exec(Key),
    Init(Key),
}

impl Monitor {
    pub(super) fn signals_arrived(&mut self) {
        while let Ok(Some(signal)) = self.foundation.signals.next() {
            if signal != rustix::process::Signal::CHILD.as_raw() && self.phase == Phase::Serving {
                // Somebody wants us gone; the containers still need us.
                self.phase = Phase::Leaving;
            }
        }
        self.collect_children();
    }

    fn collect_children(&mut self) {
        let mut ends = Vec::new();
        while let Ok(Some((pid, ended))) = process::reap() {
            ends.push((pid, ended));
        }
        // What a command was for is known now; what it made is known only once it has been dealt with.
        let commands: Vec<(Key, Ended)> =
            ends.iter().filter_map(|(pid, ended)| self.command_of(*pid).map(|key| (key, *ended))).collect();
        ends.retain(|(pid, _)| self.command_of(*pid).is_none());
        let mut known: Vec<(Child, Ended)> = Vec::new();
        for (pid, ended) in ends {
            match self.child_of(pid) {
                Child::Unknown if self.commands.is_empty() => {}
                Child::Unknown => self.reaped.keep(pid, ended),
                child => known.push((child, ended)),
            }
        }
        for (key, ended) in commands {
            self.command_ended(key, ended);
        }
        known.sort_by_key(|(child, _)| *child);
        for (child, ended) in known {
            match child {
                Child::Exec(key) => self.exec_ended(key, ended),
                Child::Init(key) => self.init_ended(key, ended),
                Child::Unknown => {}
            }
        }
    }

    fn command_of(&self, pid: u32) -> Option<Key> {
        self.commands.iter().find(|(_, command)| command.running.pid == pid).map(|(key, _)| *key)
    }

    fn child_of(&self, pid: u32) -> Child {
        let exec = self.execs.iter().find(|(_, exec)| exec.pid == Some(pid));
        if let Some((key, _)) = exec {
            return Child::Exec(*key);
        }
        let is_init = |init: &super::container::Init| init.pid == pid;
        let container = self.containers.iter().find(|(_, container)| container.init.as_ref().is_some_and(is_init));
        container.map_or(Child::Unknown, |(key, _)| Child::Init(*key))
    }

    pub(super) fn init_ended(&mut self, key: Key, ended: Ended) {
        let Some(container) = self.containers.get_mut(&key) else {
            return;
        };
        match container.state {
            State::Created | State::Running if container.starting => container.ended = Some(ended),
            State::Created | State::Running => self.finish(key, ended),
            State::Creating { .. } | State::Failing { .. } | State::Exited(_) => {}
        }
    }

    /// Makes a container's end known.
    pub(super) fn finish(&mut self, key: Key, ended: Ended) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.drain_output(key, stream);
        }
        let Some(container) = self.containers.get_mut(&key) else {
            return;
        };
        if let Some(input) = container.input.take() {
            self.poll.remove(&input.descriptor);
        }
        if let Some(events) = container.oom_events.take() {
            self.poll.remove(&events);
        }
        let oom_kills = self.last_oom_kills(key);
        let Some(container) = self.containers.get_mut(&key) else {
            return;
        };
        container.oom_kills = oom_kills;
        let code = ended.code();
        let exit = Exit {
            code,
            signal: ended.signal(),
            finished_at: Timestamp::now(),
            oom: code == KILLED && oom_kills > 0,
            oom_kills,
        };
        container.state = State::Exited(exit);
        container.log = None;
        let id = container.id.clone();
        // What a shared process namespace lets survive must not outlive the container.
        container.signal_cgroup(KILL);
        // A full or broken /run leaves clients and List as the only witnesses.
        drop(self.records.write(&ExitRecord { id: id.clone(), exit }));
        self.end_attachments(key, AttachEnd::Exited);
        self.end_execs(key);
        self.announce(Event::Exited { id, exit });
        self.begin_delete(key);
    }

    /// The kills of a container that is just over, from its own cgroup or, where that is gone already, from the pod's.
    fn last_oom_kills(&mut self, key: Key) -> u64 {
        let Some(container) = self.containers.get(&key) else { return 0 };
        let seen = container.oom_kills;
        let kills = oom::kills(&container.cgroups).unwrap_or_else(|| {
            let is_running = |state: &State| !matches!(state, State::Exited(_));
            let others =
                self.containers.iter().filter(|(other, container)| **other != key && is_running(&container.state));
            let running = others.map(|(_, other)| oom::kills(&other.cgroups).unwrap_or(0).max(other.oom_kills)).sum();
            self.pod_kills.unaccounted(running)
        });
        let kills = kills.max(seen);
        self.pod_kills.account(kills);
        kills
    }

    pub(super) fn count_oom_kills(&mut self, key: Key) {
        let Some(container) = self.containers.get_mut(&key) else {
            return;
        };
        if let Some(events) = &container.oom_events {
            container.oom_kills = container.oom_kills.max(oom::count(events).unwrap_or(0));
            if !container.cgroups.iter().any(|cgroup| cgroup.exists()) {
                // A cgroup that is gone raises the condition for ever.
                drop(self.poll.change(events, Source::OutOfMemory(key), Interest::Nothing));
            }
        }
    }

    /// Has the runtime delete what it knows of a container that is over.
    pub(super) fn begin_delete(&mut self, key: Key) {
        let Some(container) = self.containers.get_mut(&key) else {
            return;
        };
        let words = ["--force".into(), container.id.as_str().into()];
        match self.launcher.start(&container.runtime, "delete", words, CommandStreams::default()) {
            Ok(running) => {
                container.cleanup = Cleanup::Running;
                self.track(running, Purpose::Delete(key), DELETE_LIMIT, None);
            }
            Err(error) => self.delete_ended(key, Err(refused("run the runtime", &error))),
        }
    }

    pub(super) fn delete_ended(&mut self, key: Key, result: CommandResult) {
        let Some(container) = self.containers.get_mut(&key) else {
            return;
        };
        if let State::Failing { caller, failure: cause } = &container.state {
            let (caller, cause) = (*caller, cause.clone());
            let told = match result {
                Ok(()) => cause,
                Err(second) => {
                    let message = format!("{}; deleting it failed, too: {}", cause.message, second.message);
                    failure(cause.kind, message)
                }
            };
            self.forget(key);
            self.done(caller, Err(told));
            return;
        }
        container.cleanup = if result.is_ok() { Cleanup::Done } else { Cleanup::Failed };
        let removers = std::mem::take(&mut container.removers);
        if removers.is_empty() {
            return;
        }
        if let Some(timer) = container.removal_timer.take() {
            self.timers.cancel(timer);
        }
        if result.is_ok() {
            self.forget(key);
        }
        for caller in removers {
            self.done(caller, result.clone());
        }
    }
}
