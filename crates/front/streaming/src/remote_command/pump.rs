//! The four directions of a remote command, each as a future that ends with its stream.

use std::time::Duration;

use crio_pods::{SessionInput, SessionOutput, SessionSizes};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::channel::{CHUNK_BYTES, Inlet, Outlet};
use crate::size::Sizes;

/// How long the output of a command that has ended is awaited, when something it left behind holds it open.
const DRAIN_GRACE: Duration = Duration::from_millis(100);
/// How much output of a command that has ended is still taken. A pipe holds no more than that, and what comes later is not
/// the command's.
const DRAIN_BYTES: usize = 1 << 20;

/// From the client to the container. What the container does not take is thrown away, because the connection's other
/// streams are behind it.
pub(super) async fn input(from: Option<&mut Inlet>, to: Option<SessionInput>) {
    let (Some(from), mut to) = (from, to) else { return };
    while let Some(bytes) = from.receive().await {
        if let Some(input) = &mut to
            && input.write_all(&bytes).await.is_err()
        {
            to = None;
        }
    }
}

/// From the container to the client, or to nobody where there is no client for it. `over` says that no more is written.
pub(super) async fn output(from: Option<SessionOutput>, mut to: Option<&mut Outlet>, over: &CancellationToken) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0u8; CHUNK_BYTES];
    let mut left = DRAIN_BYTES;
    loop {
        let read = match over.run_until_cancelled(from.read(&mut buffer)).await {
            Some(read) => read,
            None if left == 0 => break,
            None => match timeout(DRAIN_GRACE, from.read(&mut buffer)).await {
                Ok(read) => read,
                Err(_) => break,
            },
        };
        let Ok(length @ 1..) = read else { break };
        if over.is_cancelled() {
            left = left.saturating_sub(length);
        }
        if let Some(outlet) = &mut to
            && outlet.send(&buffer[..length]).await.is_err()
        {
            // With its output closed the command learns that nobody listens.
            break;
        }
    }
    drop(from);
    if let Some(outlet) = to {
        // It is finished once more, at the end of the session.
        let _gone = outlet.finish().await;
    }
}

/// From the client to the terminal.
pub(super) async fn sizes(from: Option<&mut Inlet>, to: &SessionSizes) {
    let Some(from) = from else { return };
    let mut sizes = Sizes::default();
    let mut understood = true;
    while let Some(bytes) = from.receive().await {
        if !understood {
            continue;
        }
        match sizes.push(&bytes) {
            Ok(None) => {}
            Ok(Some(size)) => {
                if let Err(error) = to.resize(size.height, size.width).await {
                    tracing::debug!(%error, "a terminal could not be resized");
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the terminal keeps its size from now on");
                understood = false;
            }
        }
    }
}
