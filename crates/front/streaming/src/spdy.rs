//! Sessions over SPDY/3.1: who drives the connection, and what it may cost.

pub(crate) mod command;
pub(crate) mod forward;

use std::time::Duration;

use crio_spdy::{Connection, Limits};
use tokio::io::{AsyncRead, AsyncWrite};

/// Streams at once: port forwarding has two for each connection.
const MAX_STREAMS: usize = 1024;
/// How long a client may take to take what was written and leave, once its session is over.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);
/// We end an idle session ourselves, and say why; the connection's own limit is for when we cannot.
const IDLE_MARGIN: Duration = Duration::from_secs(60);

/// Serves a connection for as long as `session` lasts, which gets it, and then ends it in order. A session must end when
/// its connection is over.
pub(crate) async fn drive<T, S>(io: T, idle_limit: Duration, session: impl FnOnce(Connection) -> S)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Future<Output = ()>,
{
    let limits = Limits {
        max_streams: MAX_STREAMS,
        idle_timeout: idle_limit.saturating_add(IDLE_MARGIN),
        close_timeout: CLOSE_LIMIT,
        ..Limits::default()
    };
    let (connection, driver) = crio_spdy::serve(io, limits);
    let (driven, ()) = tokio::join!(driver, session(connection));
    if let Err(error) = driven {
        tracing::debug!(error = %crio_types::chain(&error), "a connection ended early");
    }
}
