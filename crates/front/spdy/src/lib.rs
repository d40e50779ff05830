//! The server side of SPDY/3.1 over any stream of bytes, as the clients of Kubernetes speak it: exec, attach and
//! port-forward sessions of `moby/spdystream`.
//!
//! What is served: SYN_STREAM from the client, answered with an empty SYN_REPLY or a RST_STREAM; DATA both ways; RST_STREAM;
//! PING; GOAWAY; HEADERS are read and forgotten. The server opens no streams. SETTINGS and WINDOW_UPDATE are skipped: these
//! clients have **no flow control**, so nobody may wait for a window.
//!
//! ```text
//! Connection ── Incoming ── Stream          handles: owned by sessions, cheap, may outlive the connection
//!        \         |         /
//!         Core (one mutex, never held across an await): streams, buffers, what is to be sent
//!                  |
//!               Driver ── the bytes         one future for a connection: all reading, decoding and writing
//! ```
//!
//! * [`frame`]: the wire: frames out of bytes and into bytes
//! * [`header`], [`mod@dictionary`]: header blocks and their compression
//! * [`mod@core`]: what a connection knows and what each frame or call changes in it; no I/O and no clock
//! * [`driver`]: moves bytes between the transport and the core; idle and closing deadlines
//! * [`connection`], [`stream`]: the handles
//!
//! **Back pressure.** Without flow control a client cannot be told to stop one stream and go on with another. When a stream's
//! reader is slower than its client and [`Limits::stream_buffer_bytes`] are waiting, data for that stream is left on the
//! wire, and with it everything behind it: other streams of the same connection, pings, and the news that the client is
//! gone. The alternatives are memory without a bound, or the loss of a session that is merely slow. Who does not want a
//! stream's data any more drops its reader; then the data is thrown away and nothing waits for it. In the other direction
//! a client that does not read stops the writers of its own connection, each after [`Limits::stream_buffer_bytes`].
//!
//! Specification: SPDY Protocol, Draft 3.1.

mod connection;
mod core;
mod dictionary;
mod driver;
mod error;
mod frame;
mod header;
mod limits;
mod shared;
mod stream;

use std::future::Future;

use tokio::io::{AsyncRead, AsyncWrite};

pub use connection::{Connection, Incoming};
pub use dictionary::dictionary;
pub use error::{ConnectionError, ProtocolError};
pub use frame::StreamId;
pub use limits::Limits;
pub use stream::{ReadHalf, Stream, WriteHalf};

/// Begins to serve a client that has been answered `101 Switching Protocols`.
///
/// The future does all the work of the connection: it must be polled, by a task that the caller owns, until it ends, which
/// it does soon after [`Connection::close`], when the client is gone, or when nothing moved for
/// [`Limits::idle_timeout`]. If it is dropped the connection is lost.
pub fn serve<T>(
    io: T,
    limits: Limits,
) -> (Connection, impl Future<Output = Result<(), ConnectionError>> + Send + 'static)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = limits.within_reason();
    let shared = shared::Shared::new(limits);
    let connection = Connection::new(shared.clone());
    (connection, driver::Driver::new(io, shared, &limits).run())
}

#[cfg(test)]
mod tests;
