//! What one connection may cost.

use std::time::Duration;

/// Nobody waits longer.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// The limits of one connection. A limit of zero counts as one: nothing could move otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Streams at once, counting those whose handle is still held and those whose last bytes are not yet written. The next is
    /// answered with `REFUSED_STREAM`. Default: 1024.
    pub max_streams: usize,
    /// Streams that the client has opened and [`crate::Connection::accept`] has not yet given out. When so many wait, the
    /// connection is not read. Default: 64.
    pub max_waiting_streams: usize,
    /// Bytes of one header block after decompression; also the most before it. A longer one ends the connection, since
    /// the compression of all blocks is one stream. Default: 16 KiB.
    pub max_header_block_bytes: usize,
    /// Headers of one block. A stream that begins with more is reset. Default: 64.
    pub max_headers: usize,
    /// Bytes that one stream may keep in each direction: received and not yet read, or written and not yet sent.
    /// Default: 64 KiB.
    pub stream_buffer_bytes: usize,
    /// Bytes that all streams together may keep in each direction. To be sent, a stream may keep 4 KiB in any case, so that
    /// none starves. Default: 4 MiB.
    pub connection_buffer_bytes: usize,
    /// For how long nothing may move in either direction. Default: 4 hours, as everywhere in Kubernetes.
    pub idle_timeout: Duration,
    /// For how long a closed connection may go on sending what was written and wait for the client to leave.
    /// Default: 30 seconds.
    pub close_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_streams: 1024,
            max_waiting_streams: 64,
            max_header_block_bytes: 16 << 10,
            max_headers: 64,
            stream_buffer_bytes: 64 << 10,
            connection_buffer_bytes: 4 << 20,
            idle_timeout: Duration::from_hours(4),
            close_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// The same with no number of zero, and no time that a clock cannot hold.
    pub(crate) fn within_reason(self) -> Self {
        Self {
            max_streams: self.max_streams.max(1),
            max_waiting_streams: self.max_waiting_streams.max(1),
            max_header_block_bytes: self.max_header_block_bytes.max(1),
            max_headers: self.max_headers.max(1),
            stream_buffer_bytes: self.stream_buffer_bytes.max(1),
            connection_buffer_bytes: self.connection_buffer_bytes.max(1),
            idle_timeout: self.idle_timeout.min(LONGEST),
            close_timeout: self.close_timeout.min(LONGEST),
        }
    }
}
