//! What a registry did wrong.

use std::time::Duration;

use crio_types::{Classified, ErrorKind};

use crate::certificates::CertificateError;

/// A request to a registry that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No connection, or it broke: name resolution, TCP, TLS or HTTP.
    #[error("cannot reach {host}")]
    Unreachable {
        /// Whom.
        host: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The other side kept silent.
    #[error("{host} sent nothing for {} s", after.as_secs())]
    Stalled {
        /// Who.
        host: String,
        /// How long.
        after: Duration,
    },
    /// The other side trickles.
    #[error("{host} sends less than {floor_bytes_per_s} bytes a second")]
    TooSlow {
        /// Who.
        host: String,
        /// The least that is accepted.
        floor_bytes_per_s: u64,
    },
    /// A body kept breaking off.
    #[error("{host} broke off the transfer at byte {offset} of {total}, again and again")]
    BrokenOff {
        /// Who.
        host: String,
        /// Where it stands.
        offset: u64,
        /// Where it should end.
        total: u64,
    },
    /// The registry failed (5xx).
    #[error("{host} failed with status {status}{detail}")]
    Server {
        /// Who.
        host: String,
        /// HTTP status.
        status: u16,
        /// What it said, for people.
        detail: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// Too many requests (429).
    #[error("{host} limits the rate of requests{detail}")]
    RateLimited {
        /// Who.
        host: String,
        /// What it said, for people.
        detail: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The registry wants other credentials than it got (401).
    #[error("unauthorized: {host} {}{detail}", if *.anonymous { "requires authentication" } else { "does not accept the credentials" })]
    Unauthorized {
        /// Who.
        host: String,
        /// Whether none were presented.
        anonymous: bool,
        /// What it said, for people.
        detail: String,
    },
    /// The registry knows us and says no (403).
    #[error("denied: {host} does not allow access{detail}")]
    Denied {
        /// Who.
        host: String,
        /// What it said, for people.
        detail: String,
    },
    /// There is no such thing (404).
    #[error("{host} does not have it{detail}")]
    NotFound {
        /// Who.
        host: String,
        /// What it said, for people.
        detail: String,
    },
    /// A status that no rule covers.
    #[error("{host} answered with status {status}{detail}")]
    Status {
        /// Who.
        host: String,
        /// HTTP status.
        status: u16,
        /// What it said, for people.
        detail: String,
    },
    /// The challenge of a 401 cannot or must not be answered.
    #[error("{host} asks for authentication in a way that is refused: {reason}")]
    Challenge {
        /// Who.
        host: String,
        /// Why it is refused.
        reason: String,
    },
    /// A redirect that must not be followed.
    #[error("{host} redirects in a way that is refused: {reason}")]
    Redirect {
        /// Who.
        host: String,
        /// Why it is refused.
        reason: String,
    },
    /// More bytes than the limit or the descriptor says.
    #[error("{host} sends more than the {limit} bytes expected")]
    TooLarge {
        /// Who.
        host: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A resumed transfer continued with something else.
    #[error("{host} resumed a transfer at the wrong place")]
    WrongRange {
        /// Who.
        host: String,
    },
    /// The host's certificates in certs.d cannot be read.
    #[error("certificates for {host}")]
    Certificates {
        /// For whom.
        host: String,
        /// Why.
        source: CertificateError,
    },
    /// The HTTP client refuses its settings: a certificate that is none.
    #[error("setting up TLS for {host}")]
    Setup {
        /// For whom.
        host: String,
        /// Why.
        source: reqwest::Error,
    },
}

impl RegistryError {
    /// Whether the registry, as opposed to the request, is at fault: kubelet shows such failures apart.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Stalled { .. }
                | Self::TooSlow { .. }
                | Self::BrokenOff { .. }
                | Self::Server { .. }
                | Self::RateLimited { .. }
        )
    }
}

impl Classified for RegistryError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Unauthorized { .. } | Self::Denied { .. } => ErrorKind::PermissionDenied,
            Self::TooLarge { .. } => ErrorKind::ResourceExhausted,
            Self::Certificates { .. } | Self::Setup { .. } => ErrorKind::FailedPrecondition,
            // Kubelet recognises an unavailable registry by the message, under this code only.
            _ => ErrorKind::Unknown,
        }
    }
}
