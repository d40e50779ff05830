//! The server: where it listens, what it hands out, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crio_pods::{AttachRequest, ExecRequest, Pods};
use crio_types::{Classified, ErrorKind};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::address::{base_url, resolve};
use crate::connection;
use crate::tls::{Tls, TlsError};
use crate::token::{ForwardRequest, IssueError, Target, Tokens};
use crate::{Config, config::DEFAULT_IDLE_LIMIT};

/// Clients that are connected and have no session.
const MAX_CONNECTIONS: usize = 256;
/// Sessions at once.
const MAX_SESSIONS: usize = 2000;
/// How long sessions have to say good-bye when the daemon stops.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The streaming server, bound and not yet serving.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    tls: Option<Tls>,
    shared: Arc<Shared>,
}

/// Turns checked requests into URLs. Clones are the same.
#[derive(Debug, Clone)]
pub struct Urls(Arc<Shared>);

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be understood or resolved.
    #[error("cannot resolve the address {address:?}")]
    Resolve {
        /// As configured.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The address is taken, or not of this host.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Certificates cannot be used.
    #[error("cannot speak TLS")]
    Tls {
        /// Why.
        source: TlsError,
    },
}

impl Classified for BindError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Resolve { .. } => ErrorKind::InvalidArgument,
            Self::Listen { .. } => ErrorKind::Unavailable,
            Self::Tls { .. } => ErrorKind::FailedPrecondition,
        }
    }
}

/// What sessions and RPCs share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) pods: Pods,
    pub(crate) tokens: Tokens,
    /// Scheme, address and port of every URL.
    base: String,
    /// For how long nothing may move in a session.
    pub(crate) idle_limit: Duration,
    /// Tells sessions to end.
    pub(crate) stop: CancellationToken,
    /// Drops those that did not.
    abandon: CancellationToken,
    /// Connections and sessions.
    tasks: TaskTracker,
    pub(crate) places: Arc<Semaphore>,
}

impl Server {
    /// Listens as configured.
    ///
    /// # Errors
    /// The address cannot be used, or the certificates cannot.
    pub async fn bind(config: &Config, pods: Pods) -> Result<Self, BindError> {
        let tls = match &config.tls {
            Some(files) => Some(Tls::load(files).await.map_err(|source| BindError::Tls { source })?),
            None => None,
        };
        let resolved = resolve(&config.address, config.port).await;
        let address = resolved.map_err(|source| BindError::Resolve { address: config.address.clone(), source })?;
        let failed = |source| BindError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let shared = Shared {
            pods,
            tokens: Tokens::default(),
            base: base_url(bound, tls.is_some()),
            idle_limit: config.idle_limit.unwrap_or(DEFAULT_IDLE_LIMIT),
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
            tasks: TaskTracker::new(),
            places: Arc::new(Semaphore::new(MAX_SESSIONS)),
        };
        Ok(Self { listener, tls, shared: Arc::new(shared) })
    }

    /// What the RPCs use.
    #[must_use]
    pub fn urls(&self) -> Urls {
        Urls(Arc::clone(&self.shared))
    }

    /// Scheme, address and port of the URLs.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.shared.base
    }

    /// Serves until `stop` is cancelled, then ends all sessions and waits for that.
    pub async fn serve(&self, stop: &CancellationToken) {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((stream, _)) => match Arc::clone(&connections).try_acquire_owned() {
                    Ok(place) => {
                        let greeted = connection::serve(stream, self.tls.clone(), Arc::clone(&self.shared));
                        self.shared.spawn(async move {
                            let _place = place;
                            greeted.await;
                        });
                    }
                    Err(_full) => {
                        tracing::warn!(limit = MAX_CONNECTIONS, "a streaming client was turned away: too many wait");
                    }
                },
                Err(error) => {
                    tracing::error!(%error, "a streaming client could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        self.shared.end().await;
    }
}

impl Shared {
    /// Starts a task that ends with the server.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let abandon = self.abandon.clone();
        // A session is large, and spawning copies.
        let task = Box::pin(task);
        self.tasks.spawn(async move {
            let _abandoned = abandon.run_until_cancelled(task).await;
        });
    }

    async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        if timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!(seconds = DRAIN.as_secs(), "some streaming sessions did not end in time");
        }
        self.abandon.cancel();
        // They end at their next await, which comes within a few writes to memory.
        self.tasks.wait().await;
    }
}

impl Urls {
    /// The URL of a command, which runs when a client connects.
    ///
    /// # Errors
    /// Too many URLs wait for their clients.
    pub fn exec(&self, request: ExecRequest) -> Result<String, IssueError> {
        self.issue(Target::Exec(request))
    }

    /// The URL of an attachment.
    ///
    /// # Errors
    /// As [`Urls::exec`].
    pub fn attach(&self, request: AttachRequest) -> Result<String, IssueError> {
        self.issue(Target::Attach(request))
    }

    /// The URL of a port forwarding.
    ///
    /// # Errors
    /// As [`Urls::exec`].
    pub fn port_forward(&self, request: ForwardRequest) -> Result<String, IssueError> {
        self.issue(Target::PortForward(request))
    }

    fn issue(&self, target: Target) -> Result<String, IssueError> {
        let word = target.word();
        let token = self.0.tokens.issue(target, Instant::now())?;
        Ok(format!("{}/{word}/{token}", self.0.base))
    }
}
