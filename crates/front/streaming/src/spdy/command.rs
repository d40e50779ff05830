//! Remote commands over SPDY: the client opens a stream for each direction, in any order.
//!
//! The header `streamType` says which is which. The command begins when all that the request asked for are there; a
//! stream that nobody asked for is refused.

use std::time::Duration;

use crio_pods::Wanted;
use crio_spdy::{Connection, Incoming};
use tokio::time::timeout;

use crate::channel::{Channels, Inlet, Outlet};
use crate::protocol::CommandProtocol;

/// How long a client may take to open all streams.
const STREAMS_LIMIT: Duration = Duration::from_secs(30);
/// The header that says what a stream is for.
pub(super) const STREAM_TYPE: &str = "streamtype";

/// Waits for the client's streams; nothing when they do not come.
pub(crate) async fn collect(
    connection: &mut Connection,
    protocol: CommandProtocol,
    wanted: Wanted,
) -> Option<Channels> {
    let mut channels =
        Channels { stdin: None, stdout: None, stderr: None, error: None, resize: None, status: protocol.status };
    let mut missing = Missing::new(protocol, wanted);
    let collected = async {
        while !missing.is_nothing() {
            let incoming = connection.accept().await?;
            take(incoming, &mut missing, &mut channels);
        }
        Some(channels)
    };
    let collected = timeout(STREAMS_LIMIT, collected).await;
    collected.unwrap_or_else(|_| {
        tracing::debug!(seconds = STREAMS_LIMIT.as_secs(), "a client did not open its streams in time");
        None
    })
}

/// Refuses what the client still opens, and returns when it is gone.
pub(crate) async fn gone(connection: &mut Connection) {
    while let Some(incoming) = connection.accept().await {
        incoming.refuse();
    }
}

/// The streams that have not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Missing {
    error: bool,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    resize: bool,
}

impl Missing {
    fn new(protocol: CommandProtocol, wanted: Wanted) -> Self {
        Self {
            error: true,
            stdin: wanted.stdin,
            stdout: wanted.stdout,
            stderr: wanted.stderr && !wanted.tty,
            resize: wanted.tty && protocol.sizes,
        }
    }

    fn is_nothing(self) -> bool {
        !(self.error || self.stdin || self.stdout || self.stderr || self.resize)
    }
}

fn take(incoming: Incoming, missing: &mut Missing, channels: &mut Channels) {
    let outlet = |incoming: Incoming| Some(Outlet::of_stream(incoming.accept()));
    let inlet = |incoming: Incoming| Some(Inlet::of_stream(incoming.accept()));
    let came = |missing: &mut bool| std::mem::take(missing);
    match incoming.header(STREAM_TYPE) {
        Some("error") if came(&mut missing.error) => channels.error = outlet(incoming),
        Some("stdin") if came(&mut missing.stdin) => channels.stdin = inlet(incoming),
        Some("stdout") if came(&mut missing.stdout) => channels.stdout = outlet(incoming),
        Some("stderr") if came(&mut missing.stderr) => channels.stderr = outlet(incoming),
        Some("resize") if came(&mut missing.resize) => channels.resize = inlet(incoming),
        other => {
            tracing::debug!(kind = other, "a stream that nobody asked for was refused");
            incoming.refuse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::COMMAND;

    #[test]
    fn the_request_and_the_version_say_which_streams_there_are() {
        let all = Wanted { stdin: true, stdout: true, stderr: true, tty: false };
        let (v4, v2) = (COMMAND[0], COMMAND[2]);
        let expected = Missing { error: true, stdin: true, stdout: true, stderr: true, resize: false };
        assert_eq!(Missing::new(v4, all), expected);
        let tty = Wanted { tty: true, ..all };
        let expected = Missing { stderr: false, resize: true, ..expected };
        assert_eq!(Missing::new(v4, tty), expected);
        assert_eq!(Missing::new(v2, tty), Missing { resize: false, ..expected });
        assert!(!Missing::new(v4, Wanted::default()).is_nothing());
    }
}
