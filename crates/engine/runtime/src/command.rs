//! Running a runtime's command line from the daemon, for the few things that concern no monitor.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crio_types::{Classified, ErrorKind};

/// Why a runtime command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("cannot run {}", path.display())]
    Spawn {
        /// The program.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It did not end in time and was killed.
    #[error("{} {verb} did not end within {} s", path.display(), limit.as_secs())]
    TimedOut {
        /// The program.
        path: PathBuf,
        /// What it was to do.
        verb: &'static str,
        /// The time it had.
        limit: Duration,
    },
    /// It failed.
    #[error("{} {verb}: {message}", path.display())]
    Failed {
        /// The program.
        path: PathBuf,
        /// What it was to do.
        verb: &'static str,
        /// What it said.
        message: String,
    },
}

impl Classified for CommandError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Spawn { .. } | Self::Failed { .. } => ErrorKind::Internal,
            Self::TimedOut { .. } => ErrorKind::DeadlineExceeded,
        }
    }
}

/// Runs the program and gives its standard output. It is killed when this future is dropped.
pub(crate) async fn run(
    path: &Path,
    verb: &'static str,
    arguments: &[&std::ffi::OsStr],
    limit: Duration,
) -> Result<Vec<u8>, CommandError> {
    let mut command = tokio::process::Command::new(path);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).current_dir("/");
    let output = match tokio::time::timeout(limit, command.output()).await {
        Ok(output) => output.map_err(|source| CommandError::Spawn { path: path.to_owned(), source })?,
        Err(_) => {
            return Err(CommandError::TimedOut { path: path.to_owned(), verb, limit });
        }
    };
    if output.status.success() {
        return Ok(output.stdout);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    let message = line.map_or_else(|| output.status.to_string(), str::to_owned);
    Err(CommandError::Failed { path: path.to_owned(), verb, message })
}
