//! Commands in a running container.
//!
//! The runtime launches the command detached and is gone at once; the command is then a child of ours, with its streams
//! connected straight to whoever asked for it. It costs one run of the runtime and nothing after that. A command that runs
//! out of time, or whose client goes away, is ended with everything it started before its call is answered.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use crio_monitor_protocol::{Answer, ExecStreams, Failure, FailureKind};
use crio_sys::process::Ended;
use crio_types::ContainerId;

use super::create::take_pid;
use super::exec_end::{END_LIMIT, End};
use super::requests::{PassedStreams, wrong_descriptors};
use super::{Caller, CommandResult, EXECS_MAX, Monitor, Purpose, failure, refused};
use crate::console::ConsoleSocket;
use crate::poll::Key;
use crate::runtime::{CommandStreams, ErrorStream, own_path};
use crate::timers::{Due, Timer};
use crate::tree::Pipe;

/// Time the runtime has to launch a command that has no limit of its own.
const LAUNCH_LIMIT: Duration = Duration::from_secs(60);

/// A command in a container.
#[derive(Debug)]
pub(super) struct Exec {
    pub(super) caller: Caller,
    pub(super) container: Key,
    pid_file: PathBuf,
    console: Option<ConsoleSocket>,
    pub(super) pipes: Vec<Pipe>,
    /// The runtime's process while it launches the command.
    pub(super) launcher: Option<u32>,
    /// The command's process, from its launch to its end.
    pub(super) pid: Option<u32>,
    pub(super) timer: Option<Timer>,
    pub(super) end: Option<End>,
}

impl Monitor {
    pub(super) fn exec(
        &mut self,
        caller: Caller,
        id: &ContainerId,
        streams: ExecStreams,
        limit: Option<Duration>,
        mut descriptors: Vec<OwnedFd>,
    ) -> CommandResult {
        let container_key = self.find_running(id)?;
        if self.execs.len() >= EXECS_MAX {
            return Err(failure(FailureKind::ResourceExhausted, "too many commands run at the same time"));
        }
        if descriptors.is_empty() {
            return Err(wrong_descriptors());
        }
        let process = descriptors.remove(0);
        let key = self.new_key();
        let prepare = |error| refused("prepare the command's streams", &error);
        let mut console = None;
        let passed = match streams {
            ExecStreams::Passed(streams) => PassedStreams::new(streams, descriptors)?,
            ExecStreams::Terminal => {
                console = Some(ConsoleSocket::bind(&self.foundation.directory, key).map_err(prepare)?);
                PassedStreams::default()
            }
        };
        let outputs = [&passed.stdout, &passed.stderr].into_iter().flatten();
        let pipes = outputs.map(Pipe::of).collect::<Result<Vec<_>, _>>().map_err(prepare)?;
        let pid_file = self.records.directory.join(format!("pid.{key}"));
        let container = self.containers.get(&container_key).ok_or_else(|| failure(FailureKind::NotFound, "gone"))?;

        let words = exec_words(id, &process, &pid_file, console.as_ref());
        let stderr = match (passed.stderr, &console) {
            (Some(stderr), _) => Some(ErrorStream::To(stderr)),
            // Without a terminal an absent error stream is the command's own wish.
            (None, None) => Some(ErrorStream::Null),
            (None, Some(_)) => None,
        };
        let far = CommandStreams { stdin: passed.stdin, stdout: passed.stdout, stderr };
        let running = self.launcher.start(&container.runtime, "exec", words, far);
        let running = running.map_err(|error| refused("run the runtime", &error))?;
        let launcher = Some(running.pid);
        // The exec's own timer comes first when it has one.
        let launch_limit = limit.map_or(LAUNCH_LIMIT, |limit| limit.saturating_add(END_LIMIT));
        self.track(running, Purpose::Exec(key), launch_limit, Some(process));
        let timer = limit.map(|limit| self.timers.set(limit, Due::Exec(key)));
        let container = container_key;
        let exec = Exec { caller, container, pid_file, console, pipes, launcher, pid: None, timer, end: None };
        self.execs.insert(key, exec);
        Ok(())
    }

    /// The runtime is done launching.
    pub(super) fn exec_launched(&mut self, key: Key, result: CommandResult) {
        let Some(exec) = self.execs.get_mut(&key) else { return };
        exec.launcher = None;
        let pid = take_pid(&exec.pid_file);
        let console = exec.console.take();
        if exec.end.is_some() {
            exec.pid = pid.ok().filter(|pid| self.reaped.take(*pid).is_none());
            self.hunt(key);
            return;
        }
        let pid = match (result, pid) {
            (Ok(()), Ok(pid)) => pid,
            (Err(failure), _) => {
                self.exec_over(key, Err(failure));
                return;
            }
            (Ok(()), Err(error)) => {
                self.end_exec(key, Err(refused("read the runtime's pid file", &error)));
                return;
            }
        };
        let ended = self.reaped.take(pid);
        exec.pid = Some(pid);
        let caller = exec.caller;
        match console.map(ConsoleSocket::take).transpose() {
            Ok(Some(terminal)) => self.hand_over(caller, terminal),
            Ok(None) => {}
            Err(error) => {
                if ended.is_some() {
                    exec.pid = None;
                }
                self.end_exec(key, Err(refused("take the command's terminal", &error)));
                return;
            }
        }
        if let Some(ended) = ended {
            self.exec_ended(key, ended);
        }
    }

    /// The command's process has ended and was collected.
    pub(super) fn exec_ended(&mut self, key: Key, ended: Ended) {
        let Some(exec) = self.execs.get_mut(&key) else { return };
        exec.pid = None;
        if exec.end.is_some() {
            self.advance_exec_end(key);
        } else {
            self.exec_over(key, Ok(Answer::ExecExited { code: ended.code() }));
        }
    }

    pub(super) fn exec_over(&mut self, key: Key, answer: Result<Answer, Failure>) {
        let Some(exec) = self.execs.remove(&key) else { return };
        if let Some(timer) = exec.timer {
            self.timers.cancel(timer);
        }
        self.reply(exec.caller, answer);
    }
}

fn exec_words(
    id: &ContainerId,
    process: &OwnedFd,
    pid_file: &std::path::Path,
    console: Option<&ConsoleSocket>,
) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["--process".into(), own_path(process).into()];
    words.extend(["--pid-file".into(), pid_file.as_os_str().to_owned(), "--detach".into()]);
    if let Some(console) = console {
        words.extend(["--console-socket".into(), console.path().as_os_str().to_owned()]);
    }
    words.push(id.as_str().into());
    words
}
