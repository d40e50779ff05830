//! The socket over which a runtime hands us the terminal it made (`--console-socket`).
//!
//! The runtime connects, sends one message with the terminal's descriptor, and ends. By then all of it waits in the
//! socket, so it is taken without waiting. The path goes through our own entry in procfs: it is short, however deep
//! the pod's directory is.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use crio_sys::seqpacket::receive_message;

use crate::poll::Key;

/// The most of the message beside the descriptor: a name of the terminal, which we do not need.
const NAME_MAX_BYTES: usize = 4096;

/// A socket that waits for one terminal. Its file goes with it.
#[derive(Debug)]
pub(crate) struct ConsoleSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ConsoleSocket {
    /// Makes the socket in the pod's directory, which this process holds open.
    pub(crate) fn bind(directory: &OwnedFd, key: Key) -> std::io::Result<Self> {
        let path = PathBuf::from(format!("/proc/{}/fd/{}/tty.{key}", std::process::id(), directory.as_raw_fd()));
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path })
    }

    /// What to give the runtime.
    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Takes the terminal that the runtime has sent.
    pub(crate) fn take(self) -> std::io::Result<OwnedFd> {
        let (stream, _) = self.listener.accept()?;
        let mut name = vec![0u8; NAME_MAX_BYTES];
        let received = receive_message(stream.as_fd(), &mut name)?;
        let missing = || std::io::Error::new(std::io::ErrorKind::InvalidData, "the runtime sent no terminal");
        received.descriptors.into_iter().next().ok_or_else(missing)
    }
}

impl Drop for ConsoleSocket {
    fn drop(&mut self) {
        // A socket file that stays is replaced by the next of its name.
        drop(std::fs::remove_file(&self.path));
    }
}
