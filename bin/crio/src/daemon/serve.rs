//! The accept loop: gRPC and HTTP/1.1 on one socket, and an end that lets running calls finish.

use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};

/// How many clients may be connected at once. Kubelet needs a handful.
const MAX_CONNECTIONS: usize = 1000;
/// How long running calls may go on after the end was asked for.
const DRAIN: Duration = Duration::from_secs(10);
/// Pause after a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` is cancelled, then waits for running calls.
pub async fn serve(listener: &UnixListener, router: &Router, stop: &CancellationToken) {
    let server = Builder::new(TokioExecutor::new());
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                let connection =
                    server.serve_connection_with_upgrades(io(stream), TowerToHyperService::new(router.clone()));
                let watched = graceful.watch(connection.into_owned());
                connections.spawn(async move {
                    if let Err(failure) = watched.await {
                        debug!(error = %failure, "a connection ended early");
                    }
                });
            }
            Ok(_) => warn!(limit = MAX_CONNECTIONS, "a client was turned away: too many connections"),
            Err(failure) => {
                error!(error = %failure, "a client could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drain(graceful, connections).await;
}

fn io(stream: UnixStream) -> TokioIo<UnixStream> {
    TokioIo::new(stream)
}

async fn drain(graceful: GracefulShutdown, connections: TaskTracker) {
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        warn!(seconds = DRAIN.as_secs(), "some calls did not finish in time");
    }
    connections.close();
}
