//! What the server is told by the configuration, as plain data.

use std::path::PathBuf;
use std::time::Duration;

/// For how long nothing may move in a session when nothing is configured, as everywhere in Kubernetes.
pub(crate) const DEFAULT_IDLE_LIMIT: Duration = Duration::from_hours(4);

/// Settings of [`crate::Server`].
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Address to listen on, or a name of it; every address when empty (`stream_address`).
    pub address: String,
    /// Port to listen on; 0 for any (`stream_port`).
    pub port: u16,
    /// For how long nothing may move in a session (`stream_idle_timeout`); four hours when absent.
    pub idle_limit: Option<Duration>,
    /// TLS, if it is spoken (`stream_enable_tls`).
    pub tls: Option<TlsFiles>,
}

/// Certificates and what may be agreed on.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// Our certificate with its chain, as PEM (`stream_tls_cert`).
    pub certificate: PathBuf,
    /// Its key, as PEM (`stream_tls_key`).
    pub key: PathBuf,
    /// Authorities of client certificates, as PEM; clients need none when absent (`stream_tls_ca`).
    pub authorities: Option<PathBuf>,
    /// The oldest version (`tls_min_version`).
    pub min_version: TlsVersion,
    /// Suites of TLS 1.2 by IANA name; the library's choice when empty (`tls_cipher_suites`).
    pub cipher_suites: Vec<String>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}
