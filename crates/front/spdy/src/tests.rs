//! A whole connection: a client of the test kit, a session, and the driver between them.

mod ends;
mod flow;
mod hostile;
mod session;

use std::time::Duration;

use crio_testkit::spdy::{Client, Frame};
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::{Connection, ConnectionError, Limits, Stream, serve};

/// What fits into each direction of the transport.
const TRANSPORT_BYTES: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(20);

struct Pair {
    client: Client<DuplexStream>,
    connection: Connection,
    driver: JoinHandle<Result<(), ConnectionError>>,
}

fn pair() -> Pair {
    pair_with(Limits::default())
}

fn pair_with(limits: Limits) -> Pair {
    let (near, far) = duplex(TRANSPORT_BYTES);
    let (connection, driver) = serve(far, limits);
    Pair { client: Client::new(near), connection, driver: tokio::spawn(driver) }
}

impl Pair {
    /// A stream that both sides have opened.
    async fn open(&mut self, id: u32) -> Stream {
        self.client.open(id, &[("streamtype", "data")]).await.unwrap();
        let stream = in_time(self.connection.accept()).await.unwrap().accept();
        assert_eq!(stream.id().get(), id);
        assert_eq!(self.frame().await, Frame::SynReply { id, headers: Default::default() });
        stream
    }

    async fn frame(&mut self) -> Frame {
        self.client.frame().await.unwrap().unwrap()
    }

    /// Sends a ping and expects it to be the next thing that comes back: all before it was without an answer.
    async fn expect_silence(&mut self) {
        self.client.send(&crio_testkit::spdy::ping(4_001)).await.unwrap();
        assert_eq!(self.frame().await, Frame::Ping { number: 4_001 });
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it hangs")
}

fn data(id: u32, bytes: &[u8]) -> Frame {
    Frame::Data { id, bytes: bytes.to_vec(), is_last: false }
}

fn fin(id: u32) -> Frame {
    Frame::Data { id, bytes: Vec::new(), is_last: true }
}
