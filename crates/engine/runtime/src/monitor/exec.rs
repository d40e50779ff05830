//! Running a command in a container.
//!
//! The command's output goes straight through pipes between it and this process; the monitor only starts it and waits
//! for it. A time limit is the monitor's to keep: when it says *timed out*, nothing of the command runs any more.
//! Dropping an exec half-way has the monitor end it, too.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crio_monitor_protocol::{Answer, Call, ExecStreams, FailureKind, Streams};
use crio_types::ContainerId;
use oci_spec::runtime::Process;
use rustix::fs::MemfdFlags;
use rustix::pipe::PipeFlags;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::time::Instant;

use super::connection::Expect;
use super::pending::Pending;
use super::{ExecError, Monitor, MonitorError, milliseconds};

/// How long after the command's end its output is still awaited, when something it left behind holds it open.
const DRAIN_GRACE: Duration = Duration::from_millis(100);
/// How long the monitor may take to end a command that ran out of time.
const KILL_MARGIN: Duration = Duration::from_secs(15);
/// How long a new terminal may take to come.
const CONSOLE_LIMIT: Duration = Duration::from_secs(60);
/// How much is read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Limits of [`Monitor::exec_sync`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecLimits {
    /// The time it may take; `None` for any.
    pub timeout: Option<Duration>,
    /// The most bytes of output that are kept, both streams together. The rest is read and dropped.
    pub max_output_bytes: usize,
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecOutcome {
    /// Its output.
    pub stdout: Vec<u8>,
    /// Its error output.
    pub stderr: Vec<u8>,
    /// Its exit code; 128 and the number of the signal that ended it.
    pub exit_code: i32,
}

/// What a streamed command's standard streams are: the far ends, which the command gets.
#[derive(Debug)]
pub enum ExecStdio {
    /// A new terminal of the container; [`ExecSession::take_terminal`] gives its near end.
    Terminal,
    /// These descriptors; `/dev/null` for what is absent.
    Streams {
        /// It reads from this.
        stdin: Option<OwnedFd>,
        /// It writes to this.
        stdout: Option<OwnedFd>,
        /// And its errors to this.
        stderr: Option<OwnedFd>,
    },
}

/// A streamed command. Dropping it ends the command.
#[derive(Debug)]
pub struct ExecSession {
    pending: Pending,
    terminal: Option<OwnedFd>,
}

impl ExecSession {
    /// The near end of its terminal, once.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// Waits for its end and gives its exit code.
    ///
    /// # Errors
    /// It could not be run, or the monitor is gone.
    pub async fn wait(mut self) -> Result<i32, ExecError> {
        exit_code(self.pending.answer().await, None)
    }
}

impl Monitor {
    /// Runs a command to its end and collects its output. Its input is empty.
    ///
    /// # Errors
    /// [`ExecError::TimedOut`], or it could not be run. That it fails is no error: see [`ExecOutcome::exit_code`].
    pub async fn exec_sync(
        &self,
        id: &ContainerId,
        process: &Process,
        limits: ExecLimits,
    ) -> Result<ExecOutcome, ExecError> {
        let prepare = |source| ExecError::Call { source: MonitorError::Prepare { call: "exec", source } };
        let file = json_file("process", process).map_err(prepare)?;
        let (stdout, stdout_far) = pipe().map_err(prepare)?;
        let (stderr, stderr_far) = pipe().map_err(prepare)?;
        let call = Call::Exec {
            id: id.clone(),
            streams: ExecStreams::Passed(Streams { stdin: false, stdout: true, stderr: true }),
            deadline_ms: limits.timeout.map(milliseconds),
        };
        let passed = [file.as_fd(), stdout_far.as_fd(), stderr_far.as_fd()];
        let pending = self.connection.send("exec", call, &passed, Expect::Reply).await;
        let mut pending = pending.map_err(|source| ExecError::Call { source })?;
        drop((file, stdout_far, stderr_far));
        let work = Box::pin(collect(&mut pending, stdout, stderr, limits));
        match limits.timeout {
            None => work.await,
            Some(limit) => match tokio::time::timeout(limit.saturating_add(KILL_MARGIN), work).await {
                Ok(outcome) => outcome,
                Err(_) => Err(ExecError::TimedOut { limit }),
            },
        }
    }

    /// Starts a command whose streams are somebody else's.
    ///
    /// # Errors
    /// It could not be sent, or it did not get its terminal. With [`ExecStdio::Streams`] a command that cannot be run
    /// is reported by [`ExecSession::wait`].
    pub async fn exec(&self, id: &ContainerId, process: &Process, stdio: ExecStdio) -> Result<ExecSession, ExecError> {
        let failed = |source| ExecError::Call { source };
        let file =
            json_file("process", process).map_err(|source| failed(MonitorError::Prepare { call: "exec", source }))?;
        let (streams, expect, far_ends) = match stdio {
            ExecStdio::Terminal => (ExecStreams::Terminal, Expect::Console, [None, None, None]),
            ExecStdio::Streams { stdin, stdout, stderr } => {
                let streams = Streams { stdin: stdin.is_some(), stdout: stdout.is_some(), stderr: stderr.is_some() };
                (ExecStreams::Passed(streams), Expect::Reply, [stdin, stdout, stderr])
            }
        };
        let passed: Vec<BorrowedFd<'_>> =
            std::iter::once(file.as_fd()).chain(far_ends.iter().flatten().map(AsFd::as_fd)).collect();
        let call = Call::Exec { id: id.clone(), streams, deadline_ms: None };
        let mut pending = self.connection.send("exec", call, &passed, expect).await.map_err(failed)?;
        let terminal = match expect {
            Expect::Reply => None,
            Expect::Console => {
                let terminal = tokio::time::timeout(CONSOLE_LIMIT, pending.console()).await;
                let late = |_| failed(MonitorError::Unresponsive { call: "exec", waited: CONSOLE_LIMIT });
                Some(terminal.map_err(late)?.map_err(failed)?)
            }
        };
        Ok(ExecSession { pending, terminal })
    }
}

/// Sets the size of a terminal, in characters.
///
/// # Errors
/// It is none.
pub fn set_terminal_size(terminal: BorrowedFd<'_>, height: u16, width: u16) -> std::io::Result<()> {
    let size = rustix::termios::Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(rustix::termios::tcsetwinsize(terminal, size)?)
}

/// Reads both streams until the command has ended and its output with it.
async fn collect(
    pending: &mut Pending,
    stdout: Receiver,
    stderr: Receiver,
    limits: ExecLimits,
) -> Result<ExecOutcome, ExecError> {
    let (mut stdout, mut stderr) = (Some(stdout), Some(stderr));
    let (mut stdout_chunk, mut stderr_chunk) = (Vec::new(), Vec::new());
    let mut outcome = ExecOutcome::default();
    let mut room = limits.max_output_bytes;
    let mut drain_until: Option<Instant> = None;
    while drain_until.is_none() || stdout.is_some() || stderr.is_some() {
        tokio::select! {
            biased;
            open = read(stdout.as_mut(), &mut stdout_chunk), if stdout.is_some() => {
                if !open? { stdout = None; }
                keep(&mut outcome.stdout, &mut stdout_chunk, &mut room);
            }
            open = read(stderr.as_mut(), &mut stderr_chunk), if stderr.is_some() => {
                if !open? { stderr = None; }
                keep(&mut outcome.stderr, &mut stderr_chunk, &mut room);
            }
            answer = pending.answer(), if drain_until.is_none() => {
                outcome.exit_code = exit_code(answer, limits.timeout)?;
                drain_until = Some(Instant::now() + DRAIN_GRACE);
            }
            () = tokio::time::sleep_until(drain_until.unwrap_or_else(Instant::now)), if drain_until.is_some() => break,
        }
    }
    Ok(outcome)
}

/// Reads some bytes; whether there may be more.
async fn read(pipe: Option<&mut Receiver>, chunk: &mut Vec<u8>) -> Result<bool, ExecError> {
    let Some(pipe) = pipe else { return Ok(false) };
    chunk.reserve(CHUNK_BYTES);
    let length = pipe.read_buf(chunk).await.map_err(|source| ExecError::Output { source })?;
    Ok(length > 0)
}

fn keep(kept: &mut Vec<u8>, chunk: &mut Vec<u8>, room: &mut usize) {
    let length = chunk.len().min(*room);
    kept.extend_from_slice(&chunk[..length]);
    *room -= length;
    chunk.clear();
}

fn exit_code(answer: Result<Answer, MonitorError>, timeout: Option<Duration>) -> Result<i32, ExecError> {
    match answer {
        Ok(Answer::ExecExited { code }) => Ok(code),
        Ok(_) => Err(ExecError::Call { source: MonitorError::Confused { call: "exec" } }),
        Err(MonitorError::Refused { failure: FailureKind::DeadlineExceeded, .. }) if timeout.is_some() => {
            Err(ExecError::TimedOut { limit: timeout.unwrap_or_default() })
        }
        Err(source) => Err(ExecError::Call { source }),
    }
}

fn pipe() -> std::io::Result<(Receiver, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    Ok((Receiver::from_owned_fd(read)?, write))
}

/// A memory file that holds `value` as JSON.
pub(super) fn json_file<T: serde::Serialize>(name: &str, value: &T) -> std::io::Result<OwnedFd> {
    let bytes = serde_json::to_vec(value)?;
    let mut file = std::fs::File::from(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.write_all(&bytes)?;
    Ok(file.into())
}
