//! Running a foreign program to its end: bytes in, bytes out, a deadline.
//!
//! Every program runs as the leader of a process group of its own with a fixed environment. When the deadline passes,
//! when it says too much, or when the caller loses interest, the whole group is killed, so that its children do not
//! outlive it. The group is killed only while its leader is not reaped yet: its id cannot belong to anybody else then.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Longest standard output that is read.
pub(crate) const STDOUT_BYTES_MAX: usize = 1 << 20;
/// How much of the standard error is kept; the rest is read and dropped.
const STDERR_BYTES_KEPT: usize = 16 << 10;
/// How long a killed program may take to be reaped before it is left to the runtime's reaper.
const KILL_GRACE: Duration = Duration::from_secs(2);
/// Search path when the daemon itself has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to run.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    /// The file, or a name to be found on the daemon's `PATH`.
    pub(crate) path: &'a Path,
    /// Arguments after the name.
    pub(crate) arguments: &'a [&'a str],
    /// Environment beside `PATH`.
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// Its standard input.
    pub(crate) input: &'a [u8],
}

/// What a program left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    /// The start of the standard error, as text.
    pub(crate) stderr: String,
}

/// A program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its output could not be read.
    #[error("cannot talk to {program}")]
    Exchange {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ran into its deadline and was killed.
    #[error("{program} did not end in time and was killed")]
    TimedOut {
        /// The program.
        program: PathBuf,
    },
    /// It said more than anybody would read, and was killed.
    #[error("{program} wrote more than {limit_bytes} bytes and was killed")]
    TooMuchOutput {
        /// The program.
        program: PathBuf,
        /// The limit.
        limit_bytes: usize,
    },
}

/// Runs `program` and waits for its end, at most until `deadline`.
///
/// # Errors
/// It did not start, did not end in time, or wrote too much. Any exit status is a result.
pub(crate) async fn run(program: &Program<'_>, deadline: Instant) -> Result<Output, ProcessError> {
    let mut child =
        command(program).spawn().map_err(|source| ProcessError::Start { program: program.path.to_owned(), source })?;
    // Declared after the child, so dropped before it: the group dies while its leader is still unreaped.
    let mut group = Group::of(&child);
    let result = match tokio::time::timeout_at(deadline, exchange(&mut child, program)).await {
        Ok(Ok(output)) => {
            group.release();
            return Ok(output);
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ProcessError::TimedOut { program: program.path.to_owned() }),
    };
    group.kill();
    // A process stuck in the kernel is not waited for; the runtime reaps it whenever it ends.
    let _ = tokio::time::timeout(KILL_GRACE, child.wait()).await;
    result
}

fn command(program: &Program<'_>) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let mut command = Command::new(program.path);
    command
        .args(program.arguments)
        .env_clear()
        .env("PATH", path)
        .envs(program.environment.iter().copied())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

async fn exchange(child: &mut Child, program: &Program<'_>) -> Result<Output, ProcessError> {
    let exchange_error = |source| ProcessError::Exchange { program: program.path.to_owned(), source };
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        let Some(mut stdin) = stdin else { return Ok(()) };
        match stdin.write_all(program.input).await {
            // A program need not read what it does not care for.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(exchange_error(error)),
            _ => Ok(()),
        }
    };
    let read_output = async {
        let mut output = Vec::new();
        let Some(stdout) = stdout else { return Ok(output) };
        let limit = u64::try_from(STDOUT_BYTES_MAX + 1).unwrap_or(u64::MAX);
        stdout.take(limit).read_to_end(&mut output).await.map_err(exchange_error)?;
        if output.len() > STDOUT_BYTES_MAX {
            return Err(ProcessError::TooMuchOutput {
                program: program.path.to_owned(),
                limit_bytes: STDOUT_BYTES_MAX,
            });
        }
        Ok(output)
    };
    let read_errors = async {
        let Some(stderr) = stderr else { return Ok(Vec::new()) };
        read_start(stderr).await.map_err(exchange_error)
    };
    let ((), stdout, stderr) = tokio::try_join!(write, read_output, read_errors)?;
    Ok(Output {
        status: child.wait().await.map_err(exchange_error)?,
        stdout,
        stderr: String::from_utf8_lossy(&stderr).trim().to_owned(),
    })
}

/// Reads to the end, keeping the start.
async fn read_start(mut stream: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(kept);
        }
        let room = STDERR_BYTES_KEPT - kept.len();
        kept.extend_from_slice(&buffer[..length.min(room)]);
    }
}

/// A running process group, killed when dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// The leader was reaped: the id is not ours any more.
    fn release(&mut self) {
        self.0 = None;
    }

    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            // The only failure is that nobody is left in it.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, input: &[u8], timeout: Duration) -> Result<Output, ProcessError> {
        let program =
            Program { path: Path::new("/bin/sh"), arguments: &["-c", script], environment: &[("ONLY", "this")], input };
        run(&program, Instant::now() + timeout).await
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn gives_back_all_a_program_said() {
        let output =
            shell("cat; echo oops >&2; env | grep -v PATH | grep -v PWD | grep -v _=; exit 3", b"in ", PATIENCE)
                .await
                .expect("ran");
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "in ONLY=this\n");
        assert_eq!(output.stderr, "oops");
    }

    #[tokio::test]
    async fn a_program_may_ignore_its_input() {
        let output = shell("exit 0", &vec![b'x'; 1 << 20], PATIENCE).await.expect("ran");
        assert!(output.status.success());
    }

    #[tokio::test]
    async fn children_die_with_a_program_that_is_late() {
        let dir = tempfile::tempdir().expect("tempdir");
        let pid_file = dir.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", pid_file.display());
        let error = shell(&script, b"", Duration::from_millis(500)).await.expect_err("late");
        assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
        let child = std::fs::read_to_string(&pid_file).expect("pid").trim().to_owned();
        let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(" Z "), "{state}");
    }

    #[tokio::test]
    async fn endless_output_ends() {
        let error = shell("cat /dev/zero", b"", PATIENCE).await.expect_err("too much");
        assert!(matches!(error, ProcessError::TooMuchOutput { .. }), "{error}");
        let noisy = shell("head -c 1000000 /dev/zero | tr '\\0' x >&2", b"", PATIENCE).await.expect("ran");
        assert_eq!(noisy.stderr.len(), STDERR_BYTES_KEPT);
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let program = Program { path: Path::new("/no/such/program"), arguments: &[], environment: &[], input: b"" };
        let error = run(&program, Instant::now() + PATIENCE).await.expect_err("missing");
        assert_eq!(error.to_string(), "cannot start /no/such/program");
    }
}
