//! Removing a container: it is ended if it runs, deleted if that is still due, and forgotten.

use std::time::Duration;

use crio_monitor_protocol::FailureKind;
use crio_types::ContainerId;

use super::container::{Cleanup, State};
use super::{Caller, Monitor, failure};
use crate::poll::Key;
use crate::timers::Due;

const KILL: u8 = 9;

impl Monitor {
    pub(super) fn remove(&mut self, caller: Caller, id: &ContainerId, limit: Duration) {
        let Some(container) = self.names.get(id).and_then(|key| self.containers.get_mut(key)) else {
            self.done(caller, Ok(()));
            return;
        };
        let key = self.names[id];
        match &container.state {
            State::Creating { .. } | State::Failing { .. } => {
                let message = format!("container {id} is being created");
                self.done(caller, Err(failure(FailureKind::FailedPrecondition, message)));
            }
            State::Created | State::Running => {
                container.signal_cgroup(KILL);
                if let Some(init) = &container.init {
                    // If it has just ended, the news is on its way.
                    drop(init.handle.signal(KILL));
                }
                self.await_removal(key, caller, limit);
            }
            State::Exited(_) => match container.cleanup {
                Cleanup::Done => {
                    self.forget(key);
                    self.done(caller, Ok(()));
                }
                Cleanup::Running => self.await_removal(key, caller, limit),
                Cleanup::Due | Cleanup::Failed => {
                    self.await_removal(key, caller, limit);
                    self.begin_delete(key);
                }
            },
        }
    }

    fn await_removal(&mut self, key: Key, caller: Caller, limit: Duration) {
        let Some(container) = self.containers.get_mut(&key) else {
            return;
        };
        container.removers.push(caller);
        if container.removal_timer.is_none() {
            container.removal_timer = Some(self.timers.set(limit, Due::Removal(key)));
        }
    }

    /// Those who wait are told; the container stays, and removing it may be tried again.
    pub(super) fn removal_overdue(&mut self, key: Key) {
        let Some(container) = self.containers.get_mut(&key) else {
            return;
        };
        container.removal_timer = None;
        let what = if container.state.published().is_some() && !matches!(container.state, State::Exited(_)) {
            "its process does not end"
        } else {
            "the runtime does not delete it"
        };
        let message = format!("container {} could not be removed in time: {what}", container.id);
        for caller in std::mem::take(&mut container.removers) {
            self.done(caller, Err(failure(FailureKind::DeadlineExceeded, message.clone())));
        }
    }

    /// Forgets a container and its exit.
    pub(super) fn forget(&mut self, key: Key) {
        let Some(container) = self.containers.remove(&key) else {
            return;
        };
        self.names.remove(&container.id);
        self.records.remove(&container.id);
    }
}
