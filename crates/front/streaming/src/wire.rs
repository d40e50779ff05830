//! A client's TCP connection, of which one can tell when it was last used and whether the client has left.
//!
//! Both are asked of the wire itself, below TLS and every protocol: a session whose reader is stopped, because a
//! command does not take its input, would otherwise not learn that its client is gone.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// After how long without a byte the client's machine is asked whether the connection is still there.
const PROBE_AFTER: Duration = Duration::from_secs(60);
/// Between two such questions.
const PROBE_INTERVAL: Duration = Duration::from_secs(20);
/// Questions without an answer that end the connection.
const PROBES: u32 = 3;

/// The connection, to read and write.
#[derive(Debug)]
pub(crate) struct Wire(Line);

/// The connection, to look at.
#[derive(Debug, Clone)]
pub(crate) struct Line(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stream: TcpStream,
    opened: Instant,
    /// Milliseconds from `opened` to the last byte in either direction.
    used_ms: AtomicU64,
}

impl Wire {
    /// Takes a connection over. Bytes are sent as they are written: most of what goes over it is typed by people.
    ///
    /// # Errors
    /// The connection is broken already.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        keep_alive(&stream)?;
        let shared = Shared { stream, opened: Instant::now(), used_ms: AtomicU64::new(0) };
        Ok(Self(Line(Arc::new(shared))))
    }

    /// Something to look at the connection with.
    pub(crate) fn line(&self) -> Line {
        self.0.clone()
    }

    fn stream(&self) -> &TcpStream {
        &self.0.0.stream
    }
}

impl Line {
    /// Returns when no byte has moved for `limit`.
    pub(crate) async fn idle(&self, limit: Duration) {
        loop {
            let used = self.0.opened + Duration::from_millis(self.0.used_ms.load(Ordering::Relaxed));
            let due = used + limit;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }

    /// Returns when the client has closed its side, even while what it sent before is not read.
    pub(crate) async fn hung_up(&self) {
        // The kernel reports the end of the input as a thing of its own, beside there being input.
        drop(self.0.stream.ready(Interest::PRIORITY).await);
    }

    fn used(&self) {
        let elapsed_ms = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.used_ms.store(elapsed_ms, Ordering::Relaxed);
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream().poll_read_ready(context))?;
            match self.stream().try_read(buffer.initialize_unfilled()) {
                Ok(length) => {
                    buffer.advance(length);
                    self.0.used();
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream().poll_write_ready(context))?;
            match self.stream().try_write_vectored(slices) {
                Ok(length) => {
                    self.0.used();
                    return Poll::Ready(Ok(length));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match rustix::net::shutdown(self.stream(), rustix::net::Shutdown::Write) {
            // The client was faster.
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}

/// A client that was cut off while its input was not read cannot say that it is gone; its machine can.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    async fn pair() -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Wire::new(listener.accept().await.unwrap().0).unwrap(), far)
    }

    #[tokio::test]
    async fn a_hang_up_is_seen_past_what_is_not_read() {
        let (mut near, mut far) = pair().await;
        let line = near.line();
        far.write_all(b"input").await.unwrap();
        timeout(Duration::from_millis(50), line.hung_up()).await.unwrap_err();
        near.write_all(b"output").await.unwrap();
        let mut text = [0u8; 6];
        far.read_exact(&mut text).await.unwrap();
        drop(far);
        timeout(Duration::from_secs(10), line.hung_up()).await.unwrap();
        let mut text = String::new();
        near.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "input");
    }

    #[tokio::test]
    async fn use_in_either_direction_puts_idleness_off() {
        let (mut near, mut far) = pair().await;
        let line = near.line();
        let begun = Instant::now();
        let idle = tokio::spawn(async move { line.idle(Duration::from_millis(150)).await });
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(80)).await;
            far.write_all(b"x").await.unwrap();
            near.read_u8().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(80)).await;
        near.write_all(b"x").await.unwrap();
        idle.await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(4 * 80 + 140), "{:?}", begun.elapsed());
    }
}
