//! Making a container: its log, its streams, and the runtime's `create`, or its `restore` of a checkpoint.
//!
//! Nothing is left of a container that could not be made: what the runtime may have made is deleted before the caller
//! hears of the failure.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use crio_monitor_protocol::{Answer, CheckpointFiles, CreateContainer, Failure, FailureKind};
use crio_sys::process::{self, PidFd};
use rustix::pipe::PipeFlags;

use super::checkpoint::file_words;
use super::container::{Cleanup, Container, Init, Input, State};
use super::{CONTAINERS_MAX, Caller, CommandResult, Monitor, Purpose, failure, refused};
use crate::console::ConsoleSocket;
use crate::log::Log;
use crate::oom;
use crate::poll::{Interest, Key, Source};
use crate::record::Stream;
use crate::runtime::{CommandStreams, ErrorStream};
use crate::tree::{self, Pipe};

const KILL: u8 = 9;

/// Both ends of a new container's streams.
struct Plumbing {
    near_stdout: Option<OwnedFd>,
    near_stderr: Option<OwnedFd>,
    near_stdin: Option<OwnedFd>,
    console: Option<ConsoleSocket>,
    far: CommandStreams,
}

/// What a container is made out of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Making {
    /// Its bundle: it waits to be started.
    New,
    /// Its bundle and the state of its processes: it runs.
    Restored(CheckpointFiles),
}

impl Monitor {
    pub(super) fn create(&mut self, caller: Caller, request: CreateContainer, making: &Making) -> CommandResult {
        if self.names.contains_key(&request.id) {
            return Err(failure(FailureKind::AlreadyExists, format!("the monitor has a container {}", request.id)));
        }
        if self.containers.len() >= CONTAINERS_MAX {
            return Err(failure(FailureKind::ResourceExhausted, "the monitor has too many containers"));
        }
        self.pod_kills.begin(request.pod_cgroup.as_deref());
        let key = self.new_key();
        let open_log = |path| Log::open(path, request.log_size_max_bytes);
        let log = request.log_path.as_deref().map(open_log).transpose();
        let log = log.map_err(|error| refused("open the log", &error))?;
        let plumbing = if request.tty { self.lay_terminal(key) } else { lay_pipes(request.stdin) };
        let plumbing = plumbing.map_err(|error| refused("make the container's streams", &error))?;

        let pid_file = self.records.directory.join(format!("pid.{key}"));
        let (verb, more) = match making {
            Making::New => ("create", Vec::new()),
            Making::Restored(files) => ("restore", restore_words(files)),
        };
        let words = more.into_iter().chain(create_words(&request, &pid_file, plumbing.console.as_ref()));
        let running = self.launcher.start(&request.runtime, verb, words, plumbing.far);
        let running = running.map_err(|error| refused("run the runtime", &error))?;
        self.track(running, Purpose::Create(key), Duration::from_millis(request.deadline_ms), None);

        self.names.insert(request.id.clone(), key);
        let keep_input = request.stdin;
        let restored = *making != Making::New;
        let state = State::Creating { caller, pid_file, console: plumbing.console, keep_input, restored };
        let container = Container {
            id: request.id,
            runtime: request.runtime,
            state,
            starting: false,
            ended: None,
            init: None,
            tty: request.tty,
            stdout: plumbing.near_stdout,
            stderr: plumbing.near_stderr,
            input: plumbing.near_stdin.map(Input::new),
            stdin_once: request.stdin_once,
            input_closing: false,
            log,
            cgroups: request.cgroups,
            oom_events: None,
            oom_kills: 0,
            cleanup: Cleanup::Due,
            removers: Vec::new(),
            removal_timer: None,
        };
        self.containers.insert(key, container);
        Ok(())
    }

    fn lay_terminal(&self, key: Key) -> std::io::Result<Plumbing> {
        Ok(Plumbing {
            near_stdout: None,
            near_stderr: None,
            near_stdin: None,
            console: Some(ConsoleSocket::bind(&self.foundation.directory, key)?),
            far: CommandStreams::default(),
        })
    }

    pub(super) fn create_ended(&mut self, key: Key, result: CommandResult) {
        let Some(container) = self.containers.get_mut(&key) else {
            return;
        };
        let state = std::mem::replace(&mut container.state, State::Created);
        let State::Creating { caller, pid_file, console, keep_input, restored } = state else {
            container.state = state;
            return;
        };
        if restored {
            container.state = State::Running;
        }
        let pid = take_pid(&pid_file);
        let made = result.and_then(|()| self.adopt(key, pid, console, keep_input));
        match made {
            Ok(answer) => self.reply(caller, Ok(answer)),
            Err(failure) => self.fail(key, caller, failure),
        }
    }

    /// Ends whatever the runtime has left of a container that could not be made, and has it deleted.
    fn fail(&mut self, key: Key, caller: Caller, failure: Failure) {
        let spared = self.spared(None);
        let Some(container) = self.containers.get_mut(&key) else { return };
        container.state = State::Failing { caller, failure };
        if let Some(init) = &container.init {
            // If it has just ended, all the better.
            drop(init.handle.signal(KILL));
        }
        container.signal_cgroup(KILL);
        // A runtime that was killed half-way may have left a process that it did not write down: it has our pipes.
        let pipes = [container.stdout.take(), container.stderr.take()];
        let pipes = pipes.iter().flatten().filter_map(|pipe| Pipe::of(pipe).ok()).collect();
        drop(tree::Command { pipes, spared, ..tree::Command::default() }.kill());
        container.input = None;
        self.begin_delete(key);
    }

    /// Takes over the container that the runtime has made.
    fn adopt(
        &mut self,
        key: Key,
        pid: std::io::Result<u32>,
        console: Option<ConsoleSocket>,
        keep_input: bool,
    ) -> Result<Answer, Failure> {
        let pid = pid.map_err(|error| refused("read the runtime's pid file", &error))?;
        if self.reaped.take(pid).is_some() {
            return Err(failure(FailureKind::Runtime, "the container's process ended while it was being made"));
        }
        let lost = |error| refused("find the container's process", &error);
        let handle = PidFd::open(pid).map_err(lost)?;
        let start_time = process::start_time(pid).map_err(lost)?;
        let terminal = console.map(ConsoleSocket::take).transpose();
        let terminal = terminal.map_err(|error| refused("take the container's terminal", &error))?;
        let Some(container) = self.containers.get_mut(&key) else {
            return Err(failure(FailureKind::Internal, "the container is gone"));
        };
        container.init = Some(Init { pid, start_time, handle });
        let streams = |error| refused("set up the container's streams", &error);
        if let Some(terminal) = terminal {
            rustix::io::ioctl_fionbio(&terminal, true).map_err(|error| streams(error.into()))?;
            if keep_input {
                container.input = Some(Input::new(terminal.try_clone().map_err(streams)?));
            }
            container.stdout = Some(terminal);
        }
        let interest = if container.tty { Interest::ReadEdge } else { Interest::Read };
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Some(output) = container.output(stream) {
                self.poll.add(output, Source::Output(key, stream), interest).map_err(streams)?;
            }
        }
        container.oom_events = oom::watch(&container.cgroups);
        if let Some(events) = &container.oom_events
            && self.poll.add(events, Source::OutOfMemory(key), Interest::Exception).is_err()
        {
            container.oom_events = None;
        }
        Ok(Answer::Created { pid, start_time })
    }
}

impl Input {
    fn new(descriptor: OwnedFd) -> Self {
        Self { descriptor, pending: std::collections::VecDeque::new(), watched: false }
    }
}

fn lay_pipes(keep_input: bool) -> std::io::Result<Plumbing> {
    let (near_stdout, far_stdout) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let (near_stderr, far_stderr) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let stdin = if keep_input { Some(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?) } else { None };
    let (far_stdin, near_stdin) = stdin.unzip();
    for near in [Some(&near_stdout), Some(&near_stderr), near_stdin.as_ref()].into_iter().flatten() {
        rustix::io::ioctl_fionbio(near, true)?;
    }
    Ok(Plumbing {
        near_stdout: Some(near_stdout),
        near_stderr: Some(near_stderr),
        near_stdin,
        console: None,
        far: CommandStreams { stdin: far_stdin, stdout: Some(far_stdout), stderr: Some(ErrorStream::To(far_stderr)) },
    })
}

/// A restored container is not waited for, as one that is created never is.
fn restore_words(files: &CheckpointFiles) -> Vec<OsString> {
    std::iter::once("--detach".into()).chain(file_words(files)).collect()
}

fn create_words(
    request: &CreateContainer,
    pid_file: &std::path::Path,
    console: Option<&ConsoleSocket>,
) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["--bundle".into(), request.bundle.as_os_str().to_owned()];
    words.extend(["--pid-file".into(), pid_file.as_os_str().to_owned()]);
    if let Some(console) = console {
        words.extend(["--console-socket".into(), console.path().as_os_str().to_owned()]);
    }
    words.push(request.id.as_str().into());
    words
}

/// Reads the number a runtime has written, and removes the file.
pub(super) fn take_pid(path: &PathBuf) -> std::io::Result<u32> {
    let text = std::fs::read_to_string(path);
    // A file that stays is overwritten by the next of its name.
    drop(std::fs::remove_file(path));
    let text = text?;
    let invalid = |_| std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{text:?} is not a process id"));
    text.trim().parse().map_err(invalid)
}
