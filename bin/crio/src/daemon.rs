//! The daemon: start the engines, take over what is there, serve until told to stop.
//!
//! Its order is a promise: nothing is served before recovery is done, `READY=1` is sent when clients are, and a stop
//! waits for running calls and operations while pods and containers live on.

mod reload;
mod serve;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use crio_config::{Config, Sources, Warning};
use crio_telemetry::LogHandle;
use sd_notify::NotifyState;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::wiring::{self, Front, Node};

/// Threads that may block on disks and processes at once.
const MAX_BLOCKING_THREADS: usize = 64;
/// Room for the largest future of an unoptimised build, several times over: a stack that overflows ends the whole daemon, and
/// pages that no one has touched cost nothing.
const THREAD_STACK_BYTES: usize = 2 << 20;
/// How long the runtime waits for blocking work once everything else has ended.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// It cannot start; the message says what an administrator should look at.
pub fn run(sources: &Sources, config: Config, warnings: &[Warning]) -> Result<()> {
    let log = crio_telemetry::init(&wiring::telemetry(&config)).context("cannot set up logging")?;
    for warning in warnings {
        warn!(%warning, "configuration");
    }
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_stack_size(THREAD_STACK_BYTES)
        .thread_name("crio")
        .build()
        .context("cannot start the asynchronous runtime")?;
    let outcome = runtime.block_on(serve(sources, config, &log));
    runtime.shutdown_timeout(LAST_WAIT);
    outcome
}

async fn serve(sources: &Sources, config: Config, log: &LogHandle) -> Result<()> {
    let mut signals = Signals::new()?;
    let socket = socket::bind(&config.api.listen).await?;
    let node = wiring::node(&config).await?;
    // Before recovery, so that a port that is taken changes nothing.
    let streaming = wiring::streaming(&config, node.pods.clone()).await?;
    recover(&node).await;
    let stop = CancellationToken::new();
    let measuring = tokio::spawn({
        let (stats, images, stop) = (Arc::clone(&node.stats), node.images.clone(), stop.clone());
        async move { stop.run_until_cancelled(async { tokio::join!(stats.run(), images.count_inodes()) }).await }
    });
    let (front, router) = Front::new(&node, streaming.urls(), &config);
    let (socket_path, streams) = (config.api.listen.display(), streaming.base_url());
    info!(socket = %socket_path, streams, version = env!("CARGO_PKG_VERSION"), "ready");
    notify(&[NotifyState::Ready]);
    let mut reload = reload::Reload::new(sources, config, &node, front);
    tokio::join!(serve::serve(&socket.listener, &router, &stop), streaming.serve(&stop), async {
        while signals.next().await == Asked::Reload {
            reload.reload(log);
        }
        notify(&[NotifyState::Stopping]);
        info!("stopping; pods live on");
        node.pods.end_subscriptions();
        stop.cancel();
    });
    node.images.shut_down().await;
    node.pods.shut_down().await;
    measuring.await.ok();
    info!("stopped");
    Ok(())
}

async fn recover(node: &Node) {
    for failure in node.pods.recover().await {
        error!(error = %crio_types::chain(&failure), "recovery");
    }
}

/// Tells systemd, when it started us. Without it nothing happens.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(failure) = sd_notify::notify(states) {
        warn!(error = %failure, "systemd could not be notified");
    }
}

/// What a signal asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Reload,
    Stop,
}

/// The signals the daemon listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}
