//! The near end of a command's terminal, for reading, writing and sizing.
//!
//! Clones share one descriptor: a terminal is read and written by different tasks. The terminal hangs up, and with it
//! the programs in it, when the last clone is dropped.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::exec::set_terminal_size;

/// A terminal's near end.
#[derive(Debug, Clone)]
pub struct Terminal(Arc<AsyncFd<OwnedFd>>);

impl Terminal {
    /// Takes over a descriptor, which nobody else may use.
    ///
    /// # Errors
    /// It cannot be watched.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        Ok(Self(Arc::new(watch(descriptor)?)))
    }

    /// Reads what there is, or waits for it; 0 once nobody has the other end open. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The terminal is broken.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = |terminal: &OwnedFd| match rustix::io::read(terminal, &mut *buffer) {
            // How the kernel says that the last of the other side has gone.
            Err(Errno::IO) => Ok(0),
            other => Ok(other?),
        };
        self.0.async_io(Interest::READABLE, read).await
    }

    /// Writes all of it, as the programs in the terminal take it.
    ///
    /// # Errors
    /// Nobody has the other end open.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let write = |terminal: &OwnedFd| Ok(rustix::io::write(terminal, bytes)?);
            let written = self.0.async_io(Interest::WRITABLE, write).await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Sets its size, in characters; the programs in it are told.
    ///
    /// # Errors
    /// The terminal is broken.
    pub fn resize(&self, height: u16, width: u16) -> io::Result<()> {
        set_terminal_size(self.0.get_ref().as_fd(), height, width)
    }
}

#[expect(deprecated, reason = "its unsafe successor asks that the descriptor stays the same, which an owned one does")]
fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE | Interest::WRITABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::OpenptFlags;

    /// Both ends of a terminal, the far one without echo and line editing.
    fn pair() -> (Terminal, OwnedFd) {
        let near = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        rustix::pty::unlockpt(&near).unwrap();
        let name = rustix::pty::ptsname(&near, Vec::new()).unwrap();
        let far = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let mut modes = rustix::termios::tcgetattr(&far).unwrap();
        modes.make_raw();
        rustix::termios::tcsetattr(&far, rustix::termios::OptionalActions::Now, &modes).unwrap();
        (Terminal::new(near).unwrap(), far)
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_the_end_is_an_end() {
        let (near, far) = pair();
        near.write_all(b"in").await.unwrap();
        let mut buffer = [0u8; 16];
        assert_eq!(rustix::io::read(&far, &mut buffer).unwrap(), 2);
        rustix::io::write(&far, b"out").unwrap();
        assert_eq!(near.read(&mut buffer).await.unwrap(), 3);
        assert_eq!(&buffer[..3], b"out");
        near.resize(12, 34).unwrap();
        let size = rustix::termios::tcgetwinsize(&far).unwrap();
        assert_eq!((size.ws_row, size.ws_col), (12, 34));
        drop(far);
        assert_eq!(near.read(&mut buffer).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn more_than_it_holds_is_written_as_it_is_read() {
        let (near, far) = pair();
        let reader = std::thread::spawn(move || {
            let (mut total, mut buffer) = (0, [0u8; 4096]);
            while total < 100_000 {
                total += rustix::io::read(&far, &mut buffer).unwrap();
            }
            total
        });
        near.write_all(&vec![b'x'; 100_000]).await.unwrap();
        assert_eq!(reader.join().unwrap(), 100_000);
    }
}
