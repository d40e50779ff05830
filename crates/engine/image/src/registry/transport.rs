//! HTTP: one client per host, and redirects followed by our own rules.
//!
//! The library follows no redirect. Each is checked here: at most [`MAX_REDIRECTS`], never from https to http unless
//! the registry is configured as insecure, and no credentials once the request has left the host it was made for.
//! HTTP/1.1 only: layers are fetched side by side, and separate connections have separate windows.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Certificate, Identity, Response, StatusCode, Url};

use super::error::RegistryError;
use crate::certificates::HostCertificates;

/// Redirects one request may lead through.
pub(super) const MAX_REDIRECTS: usize = 5;
/// Hosts whose clients are kept; a redirect names hosts of its choosing, so the table has a limit.
const MAX_CLIENTS: usize = 128;
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

/// How long the parts of an exchange may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// Silence, before the headers of an answer or within its body.
    pub stall: Duration,
    /// First wait before a request is tried again; it doubles each time.
    pub backoff: Duration,
    /// The window over which a transfer must keep [`Timeouts::FLOOR_BYTES_PER_S`].
    pub floor_window: Duration,
}

impl Timeouts {
    /// The least a transfer must bring, in bytes a second, so that a trickle does not occupy a pull for hours.
    pub const FLOOR_BYTES_PER_S: u64 = 1024;
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            backoff: Duration::from_millis(200),
            floor_window: Duration::from_secs(60),
        }
    }
}

/// Whether a host must prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verification {
    /// Its certificate must verify, and plain HTTP is not spoken.
    Required,
    /// registries.conf calls it insecure.
    Waived,
}

/// HTTP clients by host.
#[derive(Debug)]
pub(crate) struct Transport {
    certificate_directories: Vec<PathBuf>,
    user_agent: String,
    pub(super) timeouts: Timeouts,
    clients: Mutex<HashMap<(String, Verification), reqwest::Client>>,
}

impl Transport {
    pub(crate) fn new(certificate_directories: Vec<PathBuf>, user_agent: String, timeouts: Timeouts) -> Self {
        Self { certificate_directories, user_agent, timeouts, clients: Mutex::new(HashMap::new()) }
    }

    /// Forgets all clients, so that certificates are read again.
    pub(crate) fn forget_clients(&self) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The client for `host` (with port, as certs.d names it).
    pub(super) fn client(&self, host: &str, verification: Verification) -> Result<reqwest::Client, RegistryError> {
        let key = (host.to_owned(), verification);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        let client = self.build(host, verification)?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    fn build(&self, host: &str, verification: Verification) -> Result<reqwest::Client, RegistryError> {
        let setup = |source| RegistryError::Setup { host: host.to_owned(), source };
        let certificates = HostCertificates::read(&self.certificate_directories, host)
            .map_err(|source| RegistryError::Certificates { host: host.to_owned(), source })?;
        let mut authorities = Vec::new();
        for pem in &certificates.authorities {
            authorities.extend(Certificate::from_pem_bundle(pem).map_err(setup)?);
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(&self.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .http1_only()
            .connect_timeout(self.timeouts.connect)
            .pool_idle_timeout(IDLE_CONNECTION)
            .tls_certs_merge(authorities)
            .tls_danger_accept_invalid_certs(verification == Verification::Waived);
        if let Some(pem) = &certificates.identity {
            builder = builder.identity(Identity::from_pem(pem).map_err(setup)?);
        }
        builder.build().map_err(setup)
    }

    /// Sends one GET and follows its redirects. `authorization` goes to the host of `url` only. The answer may have
    /// any status but a redirect.
    pub(super) async fn get(
        &self,
        url: &Url,
        verification: Verification,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let mut current = url.clone();
        let mut authorization = authorization;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.get_once(&current, verification, headers, authorization).await?;
            if !is_redirect(response.status()) {
                return Ok(response);
            }
            let next = redirect_target(&current, response.headers().get(LOCATION), verification)
                .map_err(|reason| RegistryError::Redirect { host: host_of(&current), reason })?;
            if next.origin() != url.origin() {
                // Coming back does not make it trustworthy again: the detour chose the path.
                authorization = None;
            }
            current = next;
        }
        Err(RegistryError::Redirect { host: host_of(url), reason: format!("more than {MAX_REDIRECTS} redirects") })
    }

    async fn get_once(
        &self,
        url: &Url,
        verification: Verification,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let host = host_of(url);
        let mut request = self.client(&host, verification)?.get(url.clone()).headers(headers.clone());
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        self.send(&host, request).await
    }

    /// Sends a request and waits for the answer's headers.
    pub(super) async fn send(&self, host: &str, request: reqwest::RequestBuilder) -> Result<Response, RegistryError> {
        let limit = self.timeouts.connect + self.timeouts.stall;
        match tokio::time::timeout(limit, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(RegistryError::Unreachable {
                host: host.to_owned(),
                // The URL of a redirect may carry a signature that grants access.
                source: Box::new(error.without_url()),
            }),
            Err(_) => Err(RegistryError::Stalled { host: host.to_owned(), after: limit }),
        }
    }

    /// Reads a whole body of at most `limit` bytes.
    pub(super) async fn body(&self, mut response: Response, limit: u64) -> Result<Vec<u8>, RegistryError> {
        let host = host_of(response.url());
        let too_large = || RegistryError::TooLarge { host: host.clone(), limit };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        let deadline = tokio::time::Instant::now() + self.timeouts.floor_window;
        loop {
            let chunk = tokio::time::timeout(self.timeouts.stall, response.chunk());
            let chunk = tokio::time::timeout_at(deadline, chunk).await.ok().and_then(Result::ok);
            match chunk {
                Some(Ok(Some(chunk))) if (body.len() + chunk.len()) as u64 > limit => return Err(too_large()),
                Some(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                Some(Ok(None)) => return Ok(body),
                Some(Err(error)) => {
                    return Err(RegistryError::Unreachable { host, source: Box::new(error.without_url()) });
                }
                None => {
                    return Err(RegistryError::Stalled { host, after: self.timeouts.stall });
                }
            }
        }
    }
}

/// Host and, unless it is the scheme's own, port.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads, if it may be followed.
fn redirect_target(from: &Url, location: Option<&HeaderValue>, verification: Verification) -> Result<Url, String> {
    let location = location.and_then(|value| value.to_str().ok()).ok_or_else(|| "it names no location".to_owned())?;
    let target = from.join(location).map_err(|error| format!("its location is not a URL: {error}"))?;
    match (from.scheme(), target.scheme(), verification) {
        (_, "https", _) | ("http", "http", _) | (_, "http", Verification::Waived) => {}
        (_, "http", Verification::Required) => return Err("it leads from https to http".to_owned()),
        (_, other, _) => return Err(format!("it leads to the scheme {other:?}")),
    }
    if !target.username().is_empty() || target.password().is_some() {
        return Err("its location carries credentials".to_owned());
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_only_harmless_redirects() {
        use Verification::{Required, Waived};
        for (from, location, verification, expected) in [
            ("https://a/x", "https://b/y", Required, Some("https://b/y")),
            ("https://a/x/y", "../z", Required, Some("https://a/z")),
            ("https://a/x", "/y?sig=1", Required, Some("https://a/y?sig=1")),
            ("https://a/x", "//b/y", Required, Some("https://b/y")),
            ("https://a/x", "http://b/y", Required, None),
            ("https://a/x", "http://a/y", Required, None),
            ("https://a/x", "http://b/y", Waived, Some("http://b/y")),
            ("http://a/x", "http://b/y", Waived, Some("http://b/y")),
            ("http://a/x", "https://b/y", Waived, Some("https://b/y")),
            ("https://a/x", "file:///etc/passwd", Waived, None),
            ("https://a/x", "ftp://b/y", Waived, None),
            ("https://a/x", "https://u:p@b/y", Required, None),
            ("https://a/x", "https://", Required, None),
        ] {
            let value = HeaderValue::from_str(location).unwrap();
            let target = redirect_target(&from.parse().unwrap(), Some(&value), verification);
            assert_eq!(target.ok().map(String::from).as_deref(), expected, "{from} -> {location}");
        }
        assert!(redirect_target(&"https://a/".parse().unwrap(), None, Required).is_err());
    }
}
