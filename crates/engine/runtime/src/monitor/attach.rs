//! Attaching to a container's own streams.
//!
//! The monitor copies output to the client without ever waiting for it: what the client's pipe cannot hold ends the
//! attachment. [`attach_pipe`] makes a pipe with room for a megabyte, which is the slack a client has.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crio_monitor_protocol::{Answer, AttachEnd, Call, Streams};
use crio_types::ContainerId;
use rustix::pipe::PipeFlags;

use super::connection::Expect;
use super::pending::Pending;
use super::{Monitor, MonitorError};

/// The room of a pipe that [`attach_pipe`] makes, in bytes.
const PIPE_BYTES: usize = 1 << 20;

/// The far ends of an attached client's streams: the monitor reads from `stdin` and writes to the others.
#[derive(Debug, Default)]
pub struct AttachStdio {
    /// Input for the container.
    pub stdin: Option<OwnedFd>,
    /// Gets its output; all of it when it has a terminal.
    pub stdout: Option<OwnedFd>,
    /// Gets its error output.
    pub stderr: Option<OwnedFd>,
}

/// An attachment. Dropping it detaches.
#[derive(Debug)]
pub struct Attachment(Pending);

impl Attachment {
    /// Waits for its end.
    ///
    /// # Errors
    /// The container does not run, or the monitor is gone.
    pub async fn wait(mut self) -> Result<AttachEnd, MonitorError> {
        match self.0.answer().await? {
            Answer::AttachEnded(end) => Ok(end),
            _ => Err(MonitorError::Confused { call: "attach" }),
        }
    }
}

impl Monitor {
    /// Connects streams to a running container, from now on.
    ///
    /// # Errors
    /// The monitor is gone. A container that does not run is reported by [`Attachment::wait`].
    pub async fn attach(&self, id: &ContainerId, stdio: AttachStdio) -> Result<Attachment, MonitorError> {
        let streams =
            Streams { stdin: stdio.stdin.is_some(), stdout: stdio.stdout.is_some(), stderr: stdio.stderr.is_some() };
        let passed: Vec<BorrowedFd<'_>> =
            [&stdio.stdin, &stdio.stdout, &stdio.stderr].into_iter().flatten().map(AsFd::as_fd).collect();
        let call = Call::Attach { id: id.clone(), streams };
        let pending = self.connection.send("attach", call, &passed, Expect::Reply).await?;
        Ok(Attachment(pending))
    }
}

/// A pipe for an attached client, as (read end, write end), both close-on-exec, with room for a megabyte where the
/// kernel grants it.
///
/// # Errors
/// The process is out of descriptors.
pub fn attach_pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // Less room only means less patience with a slow client.
    let _size = rustix::pipe::fcntl_setpipe_size(&write, PIPE_BYTES);
    Ok((read, write))
}
