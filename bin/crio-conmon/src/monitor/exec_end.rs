//! Ending commands before their time: everything they started is gone when the caller hears of it.
//!
//! A command is hunted until a hunt finds nobody. Only then, or when processes refuse to go for too long, its call is
//! answered; the answer was settled when the end began.

use std::collections::BTreeSet;
use std::time::Duration;

use crio_monitor_protocol::{Answer, Failure, FailureKind};
use crio_sys::process::PidFd;

use super::exec::Exec;
use super::{Monitor, failure};
use crate::poll::{Interest, Key, Source};
use crate::timers::{Due, Timer};
use crate::tree;

/// Time a launch has to finish once its command is to be ended.
const LAUNCH_GRACE: Duration = Duration::from_secs(3);
/// Time killed processes have to go away before the caller is answered regardless.
pub(super) const END_LIMIT: Duration = Duration::from_secs(10);
/// How often the processes of a command are looked for once more.
const END_ROUNDS_MAX: u32 = 8;
/// The exit code of a command that ended with its container.
const KILLED: i32 = 137;

/// An exec that is being ended.
#[derive(Debug)]
pub(super) struct End {
    answer: Result<Answer, Failure>,
    doomed: Vec<PidFd>,
    timer: Timer,
    /// How often its processes were looked for, and how many the last time found.
    rounds: u32,
    found: usize,
}

impl Monitor {
    pub(super) fn exec_overdue(&mut self, key: Key) {
        if let Some(exec) = self.execs.get_mut(&key) {
            exec.timer = None;
        }
        self.end_exec(key, Err(failure(FailureKind::DeadlineExceeded, "the command did not end in time")));
    }

    pub(super) fn cancel_exec(&mut self, key: Key) {
        self.end_exec(key, Err(failure(FailureKind::Cancelled, "the command was cancelled")));
    }

    /// Ends the commands of a container that is over.
    pub(super) fn end_execs(&mut self, container: Key) {
        let execs: Vec<Key> =
            self.execs.iter().filter(|(_, exec)| exec.container == container).map(|(key, _)| *key).collect();
        for key in execs {
            self.end_exec(key, Ok(Answer::ExecExited { code: KILLED }));
        }
    }

    /// Kills everything of a command; once it is gone, `answer` is given. A launch under way is let finish: only then
    /// is it known which process the command is.
    pub(super) fn end_exec(&mut self, key: Key, answer: Result<Answer, Failure>) {
        let Some(exec) = self.execs.get_mut(&key).filter(|exec| exec.end.is_none()) else {
            return;
        };
        let launching = exec.launcher.is_some();
        let timer = self.timers.set(if launching { LAUNCH_GRACE } else { END_LIMIT }, Due::ExecEnd(key));
        exec.end = Some(End { answer, doomed: Vec::new(), timer, rounds: 0, found: 0 });
        if !launching {
            self.hunt(key);
        }
    }

    /// Kills what there is of a command that is being ended.
    pub(super) fn hunt(&mut self, key: Key) {
        let Some(exec) = self.execs.get(&key) else { return };
        let doomed = self.kill_exec(exec);
        for handle in &doomed {
            // One that cannot be watched is looked at when another has ended, or when time is up.
            drop(self.poll.add(handle, Source::Doomed(key), Interest::Read));
        }
        if let Some(end) = self.execs.get_mut(&key).and_then(|exec| exec.end.as_mut()) {
            end.found = doomed.len();
            end.doomed.extend(doomed);
            end.rounds += 1;
        }
        self.advance_exec_end(key);
    }

    /// Answers, if the command's processes are gone, all of them.
    pub(super) fn advance_exec_end(&mut self, key: Key) {
        let Some(exec) = self.execs.get_mut(&key) else { return };
        let Some(end) = exec.end.as_mut() else { return };
        end.doomed.retain(|handle| {
            let alive = !handle.has_ended().unwrap_or(true);
            if !alive {
                self.poll.remove(handle);
            }
            alive
        });
        if !end.doomed.is_empty() || exec.launcher.is_some() || exec.pid.is_some() {
            return;
        }
        // A hunt that finds nobody is the proof that nobody is left.
        let found_some = end.found > 0;
        if found_some && end.rounds < END_ROUNDS_MAX {
            self.hunt(key);
        } else {
            self.exec_end_over(key);
        }
    }

    /// The time for ending a command is up.
    pub(super) fn exec_end_overdue(&mut self, key: Key) {
        let Some(exec) = self.execs.get_mut(&key) else { return };
        let Some(end) = exec.end.as_mut() else { return };
        if exec.launcher.is_some() && end.rounds == 0 {
            // The launch hangs, so it is part of what must go.
            end.timer = self.timers.set(END_LIMIT, Due::ExecEnd(key));
            self.hunt(key);
        } else {
            self.exec_end_over(key);
        }
    }

    /// Answers, whatever is left.
    fn exec_end_over(&mut self, key: Key) {
        let Some(end) = self.execs.get_mut(&key).and_then(|exec| exec.end.take()) else {
            return;
        };
        self.timers.cancel(end.timer);
        for handle in &end.doomed {
            self.poll.remove(handle);
        }
        self.exec_over(key, end.answer);
    }

    fn kill_exec(&self, exec: &Exec) -> Vec<PidFd> {
        let init = self.containers.get(&exec.container).and_then(|container| container.init.as_ref());
        let command = tree::Command {
            roots: [exec.launcher, exec.pid].into_iter().flatten().collect(),
            pipes: exec.pipes.clone(),
            container: init.map(|init| init.pid),
            spared: self.spared(exec.pid),
        };
        command.kill()
    }

    /// Processes that no hunt may touch: we, containers, and commands other than the one hunted.
    pub(super) fn spared(&self, hunted: Option<u32>) -> BTreeSet<u32> {
        let inits = self.containers.values().filter_map(|container| container.init.as_ref()).map(|init| init.pid);
        let execs = self.execs.values().filter_map(|exec| exec.pid).filter(|pid| Some(*pid) != hunted);
        inits.chain(execs).chain([1, std::process::id()]).collect()
    }
}
