//! The streaming server: where it listens, and its certificates.

use anyhow::{Context, Result};
use crio_config::{Config, TlsVersion};
use crio_pods::Pods;
use crio_streaming::{Server, TlsFiles};

/// Binds the streaming server as `[crio.api]` says.
///
/// # Errors
/// The address is taken, or a certificate cannot be used; the message names the option.
pub async fn streaming(config: &Config, pods: Pods) -> Result<Server> {
    let api = &config.api;
    let tls = api.stream_enable_tls.then(|| tls(config)).transpose()?;
    let idle_limit = api.stream_idle_timeout.filter(|limit| !limit.is_zero());
    let config = crio_streaming::Config { address: api.stream_address.clone(), port: api.stream_port, idle_limit, tls };
    Server::bind(&config, pods)
        .await
        .context("cannot serve streams (crio.api.stream_address, stream_port, stream_tls_*)")
}

fn tls(config: &Config) -> Result<TlsFiles> {
    let api = &config.api;
    Ok(TlsFiles {
        certificate: api.stream_tls_cert.clone().context("crio.api.stream_enable_tls needs stream_tls_cert")?,
        key: api.stream_tls_key.clone().context("crio.api.stream_enable_tls needs stream_tls_key")?,
        authorities: api.stream_tls_ca.clone(),
        min_version: match api.tls_min_version {
            TlsVersion::Tls12 => crio_streaming::TlsVersion::Tls12,
            TlsVersion::Tls13 => crio_streaming::TlsVersion::Tls13,
        },
        cipher_suites: api.tls_cipher_suites.clone(),
    })
}
