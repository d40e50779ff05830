//! One forwarded connection: between a client's streams and what listens inside a pod.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crio_pods::PortForward;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::channel::{CHUNK_BYTES, Inlet, Outlet};

/// How long what the pod still sends may pause, once the client has sent all it had.
const ANSWER_PAUSE: Duration = Duration::from_secs(30);
/// How long what the client still sends may pause, once the pod has closed the connection.
const REST_PAUSE: Duration = Duration::from_secs(1);
/// How long a client may take to take an error.
const REPORT_LIMIT: Duration = Duration::from_secs(10);

/// Why a connection was not forwarded, for the client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nobody listens, or the pod is gone.
    #[error("error forwarding port {port} to pod {id}, uid {uid}: {reason}")]
    Connect { port: u16, id: String, uid: String, reason: String },
    /// The client did not open both streams.
    #[error("the data stream did not come within {} s", waited.as_secs())]
    Unpaired { waited: Duration },
}

/// Connects to a port of the pod and copies both ways until one side is done. What fails is told on `error`, and the data
/// stream is broken off.
pub(crate) async fn forward(way: &PortForward, port: u16, data: (Inlet, Outlet), mut error: Outlet) {
    let (mut inlet, mut outlet) = data;
    match way.connect(port).await {
        Ok(socket) => {
            relay(&mut inlet, &mut outlet, socket).await;
            // An error stream that ends empty is good news.
            let _gone = error.finish().await;
        }
        Err(reason) => {
            let failure = Failure::Connect {
                port,
                id: way.sandbox_id().to_string(),
                uid: way.uid().to_owned(),
                reason: crio_types::chain(&*reason),
            };
            tracing::debug!(%failure, "a connection was not forwarded");
            report(&mut error, &failure.to_string()).await;
        }
    }
}

/// Tells a client what went wrong, and ends the stream.
pub(crate) async fn report(error: &mut Outlet, text: &str) {
    let told = async {
        if error.send(text.as_bytes()).await.is_ok() {
            let _gone = error.finish().await;
        }
    };
    if timeout(REPORT_LIMIT, told).await.is_err() {
        tracing::debug!("a client did not take an error");
    }
}

/// Copies both ways. Each direction ends for itself; the other may then go on for as long as something moves.
async fn relay(inlet: &mut Inlet, outlet: &mut Outlet, mut socket: TcpStream) {
    let (mut from_pod, mut to_pod) = socket.split();
    let moved = AtomicU64::new(0);
    let inward = async {
        while let Some(bytes) = inlet.receive().await {
            if to_pod.write_all(&bytes).await.is_err() {
                return;
            }
            moved.fetch_add(1, Ordering::Relaxed);
        }
        // A server that has closed its side does not hear it any more.
        let _closed = to_pod.shutdown().await;
    };
    let outward = async {
        let mut buffer = vec![0u8; CHUNK_BYTES];
        while let Ok(length @ 1..) = from_pod.read(&mut buffer).await {
            if outlet.send(&buffer[..length]).await.is_err() {
                return;
            }
            moved.fetch_add(1, Ordering::Relaxed);
        }
        // A client that is gone does not hear it.
        let _gone = outlet.finish().await;
    };
    let (mut inward, mut outward) = (std::pin::pin!(inward), std::pin::pin!(outward));
    tokio::select! {
        () = &mut inward => while_moving(outward, &moved, ANSWER_PAUSE).await,
        () = &mut outward => while_moving(inward, &moved, REST_PAUSE).await,
    }
}

/// Lets a direction go on until it ends or nothing has moved for `pause`.
async fn while_moving(mut direction: impl Future<Output = ()> + Unpin, moved: &AtomicU64, pause: Duration) {
    loop {
        let before = moved.load(Ordering::Relaxed);
        tokio::select! {
            () = &mut direction => return,
            () = sleep(pause) => if moved.load(Ordering::Relaxed) == before { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn each_direction_ends_for_itself() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut pod, _) = listener.accept().await.unwrap();
        let (client, received) = mpsc::channel(4);
        let (sender, mut sent) = mpsc::channel(4);
        let relaying = tokio::spawn(async move {
            let mut inlet = Inlet::Messages(received);
            let mut outlet = Outlet::Messages { channel: 0, sender };
            relay(&mut inlet, &mut outlet, near).await;
        });
        client.send(Bytes::from_static(b"question")).await.unwrap();
        drop(client);
        let mut question = String::new();
        pod.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        pod.write_all(b"answer").await.unwrap();
        assert_eq!(&sent.recv().await.unwrap().bytes[..], b"answer");
        drop(pod);
        relaying.await.unwrap();
        assert_eq!(sent.recv().await, None);
    }
}
