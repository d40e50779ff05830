//! Port forwarding over SPDY: two streams for each connection, one for data and one for what went wrong.
//!
//! The client opens the error stream first, then the data stream, with the same `requestID` and `port`. Clients older than
//! request ids are known by their stream numbers: the data stream comes right after its error stream. Many connections
//! share the session, and one that fails ends nothing but itself.

use std::collections::HashMap;
use std::time::Duration;

use crio_pods::PortForward;
use crio_spdy::{Connection, Incoming, Stream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::command::STREAM_TYPE;
use crate::channel::{Inlet, Outlet};
use crate::port_forward::{self, Failure};
use crate::remote_command::Cut;

/// How long the second stream of a pair may take.
const PAIR_LIMIT: Duration = Duration::from_secs(30);
/// Pairs of which one half has come.
const MAX_HALVES: usize = 128;
/// Connections of one session at once.
const MAX_FORWARDS: usize = 500;
/// Streams of one client are numbered by two.
const NEXT_STREAM: u32 = 2;

/// One half of a pair that waits for the other.
#[derive(Debug)]
struct Half {
    side: Side,
    port: u16,
    stream: Stream,
    due: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Error,
    Data,
}

/// What the headers of a stream say.
#[derive(Debug, PartialEq, Eq)]
struct Purpose {
    request: String,
    side: Side,
    port: u16,
}

/// A session.
#[derive(Debug)]
struct Session {
    way: PortForward,
    halves: HashMap<String, Half>,
    running: JoinSet<()>,
}

/// Forwards connections until the client leaves or `cut` ends it.
pub(crate) async fn serve(mut connection: Connection, way: PortForward, cut: impl Future<Output = Cut>) {
    let mut session = Session { way, halves: HashMap::new(), running: JoinSet::new() };
    let mut cut = std::pin::pin!(cut);
    loop {
        let due = session.halves.values().map(|half| half.due).min();
        tokio::select! {
            incoming = connection.accept() => match incoming {
                Some(incoming) => session.take(incoming),
                None => break,
            },
            Some(ended) = session.running.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "forwarding a connection failed on an internal error");
                }
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => session.expire(),
            cut = &mut cut => {
                tracing::debug!(?cut, "port forwarding was ended");
                break;
            }
        }
    }
}

impl Session {
    /// Takes a stream in. With its other half, forwarding begins.
    fn take(&mut self, incoming: Incoming) {
        let id = incoming.id().get();
        let Some(purpose) = Purpose::of(id, |name| incoming.header(name)) else {
            tracing::debug!("a stream that names no port, type or request was refused");
            return incoming.refuse();
        };
        let Purpose { request, side, port } = purpose;
        match self.halves.remove(&request) {
            Some(other) if other.side != side && other.port == port => {
                if self.running.len() < MAX_FORWARDS {
                    self.begin(port, other, incoming.accept());
                } else {
                    tracing::debug!(limit = MAX_FORWARDS, "a connection was refused: the session has too many");
                    incoming.refuse();
                }
            }
            // Two streams that do not belong together: neither is of use.
            Some(_) => incoming.refuse(),
            None if self.halves.len() >= MAX_HALVES => incoming.refuse(),
            None => {
                let half = Half { side, port, stream: incoming.accept(), due: Instant::now() + PAIR_LIMIT };
                self.halves.insert(request, half);
            }
        }
    }

    fn begin(&mut self, port: u16, other: Half, stream: Stream) {
        let (error, data) = match other.side {
            Side::Error => (other.stream, stream),
            Side::Data => (stream, other.stream),
        };
        let way = self.way.clone();
        self.running.spawn(async move {
            let (read, write) = data.into_split();
            let data = (Inlet::Spdy { read, _kept: None }, Outlet::Spdy(write));
            port_forward::forward(&way, port, data, Outlet::of_stream(error)).await;
        });
    }

    /// Gives up on pairs that stay halves.
    fn expire(&mut self) {
        let now = Instant::now();
        for (request, half) in self.halves.extract_if(|_, half| half.due <= now) {
            tracing::debug!(request, "the second stream of a pair did not come in time");
            if half.side == Side::Error {
                self.running.spawn(async move {
                    let failure = Failure::Unpaired { waited: PAIR_LIMIT };
                    port_forward::report(&mut Outlet::of_stream(half.stream), &failure.to_string()).await;
                });
            }
        }
    }
}

impl Purpose {
    fn of<'a>(id: u32, header: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let side = match header(STREAM_TYPE)? {
            "error" => Side::Error,
            "data" => Side::Data,
            _ => return None,
        };
        let port = header("port")?.parse().ok().filter(|port| *port != 0)?;
        let request = match header("requestid") {
            Some(request) => request.to_owned(),
            None if side == Side::Error => id.to_string(),
            None => id.checked_sub(NEXT_STREAM)?.to_string(),
        };
        Some(Self { request, side, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers = [(&'static str, &'static str)];

    fn purpose(id: u32, headers: &Headers) -> Option<Purpose> {
        Purpose::of(id, |name| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value))
    }

    #[test]
    fn a_pair_is_known_by_its_request_or_its_numbers() {
        let of = |request: &str, side| Some(Purpose { request: request.to_owned(), side, port: 80 });
        let cases: [(u32, &Headers, Option<Purpose>); 9] = [
            (1, &[("streamtype", "error"), ("port", "80"), ("requestid", "7")], of("7", Side::Error)),
            (9, &[("streamtype", "data"), ("port", "80"), ("requestid", "7")], of("7", Side::Data)),
            (5, &[("streamtype", "error"), ("port", "80")], of("5", Side::Error)),
            (7, &[("streamtype", "data"), ("port", "80")], of("5", Side::Data)),
            (1, &[("streamtype", "data"), ("port", "80")], None),
            (1, &[("streamtype", "error"), ("port", "0")], None),
            (1, &[("streamtype", "error"), ("port", "65536")], None),
            (1, &[("streamtype", "stdin"), ("port", "80")], None),
            (1, &[("port", "80")], None),
        ];
        for (id, headers, expected) in cases {
            assert_eq!(purpose(id, headers), expected, "{id} {headers:?}");
        }
    }
}
