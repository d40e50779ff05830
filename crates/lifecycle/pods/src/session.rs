//! A client's streams into a container: of a command run for it, or of the container itself.
//!
//! Bytes go straight between these ends and the container, through pipes or a terminal; the monitor only starts the
//! command, or adds the pipes to its audience. So a client that reads slowly slows down its own command, and a
//! container whose client is too slow loses the client. Dropping a session ends it: a command is killed with all it
//! started, an attachment is taken off.

use std::io;
use std::pin::Pin;

use crio_runtime::{Monitor, Terminal};
use crio_types::ContainerId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

use crate::Outcome;

/// The streams a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// It will send input.
    pub stdin: bool,
    /// It wants the output.
    pub stdout: bool,
    /// It wants the error output. A terminal has none.
    pub stderr: bool,
    /// It wants a terminal, or has one.
    pub tty: bool,
}

/// A command for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRequest {
    /// The container, as the caller wrote its id.
    pub container_id: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The streams.
    pub wanted: Wanted,
}

/// A client for a container's own streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachRequest {
    /// The container, as the caller wrote its id.
    pub container_id: String,
    /// The streams.
    pub wanted: Wanted,
}

/// A running session. The parts are used side by side.
#[derive(Debug)]
pub struct Session {
    /// Takes input. Dropping it ends the input.
    pub stdin: Option<SessionInput>,
    /// Gives output. There is one with every terminal, wanted or not, and it must be read.
    pub stdout: Option<SessionOutput>,
    /// Gives error output.
    pub stderr: Option<SessionOutput>,
    /// Sets the terminal's size.
    pub sizes: SessionSizes,
    /// Waits for the end.
    pub ending: SessionEnding,
}

/// Where input goes.
#[derive(Debug)]
pub enum SessionInput {
    /// A pipe.
    Pipe(pipe::Sender),
    /// The terminal.
    Terminal(Terminal),
}

/// Where output comes from.
#[derive(Debug)]
pub enum SessionOutput {
    /// A pipe.
    Pipe(pipe::Receiver),
    /// The terminal.
    Terminal(Terminal),
}

/// Whose size can be set.
#[derive(Debug, Clone)]
pub enum SessionSizes {
    /// Nothing's.
    Nothing,
    /// The command's terminal.
    Terminal(Terminal),
    /// The container's terminal, which the monitor has.
    Container {
        /// The monitor.
        monitor: Monitor,
        /// The container.
        id: ContainerId,
    },
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// The command ended, with this code; 128 + n after signal n.
    Exited(i32),
    /// The container ended, or the client's input did.
    Detached,
    /// The client did not read as fast as the container wrote.
    TooSlow,
}

/// The end of a session that is still to come. Dropping it brings it about.
pub struct SessionEnding(Pin<Box<dyn Future<Output = Outcome<SessionEnd>> + Send>>);

impl SessionEnding {
    /// A session that ends when `ending` does, and is ended by dropping it.
    pub fn new(ending: impl Future<Output = Outcome<SessionEnd>> + Send + 'static) -> Self {
        Self(Box::pin(ending))
    }

    /// Waits for the end, which comes once. Giving up the wait changes nothing.
    ///
    /// # Errors
    /// The command could not be run, or the monitor is gone.
    pub async fn wait(&mut self) -> Outcome<SessionEnd> {
        self.0.as_mut().await
    }
}

impl std::fmt::Debug for SessionEnding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionEnding")
    }
}

impl SessionInput {
    /// Writes all of it, as it is taken.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Pipe(pipe) => pipe.write_all(bytes).await,
            Self::Terminal(terminal) => terminal.write_all(bytes).await,
        }
    }
}

impl SessionOutput {
    /// Reads what there is, or waits for it; 0 at the end. Giving up the wait loses nothing.
    ///
    /// # Errors
    /// The stream is broken.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => pipe.read(buffer).await,
            Self::Terminal(terminal) => terminal.read(buffer).await,
        }
    }
}

impl SessionSizes {
    /// Sets the size, in characters. What has no terminal has no size, which is no error: clients send sizes whenever
    /// they have a terminal themselves.
    ///
    /// # Errors
    /// The terminal is gone.
    pub async fn resize(&self, height: u16, width: u16) -> io::Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Terminal(terminal) => terminal.resize(height, width),
            Self::Container { monitor, id } => monitor.resize(id, height, width).await.map_err(io::Error::other),
        }
    }
}
