//! One repository at one endpoint: requests with authentication and patience.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crio_types::Credentials;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, RANGE};
use reqwest::{Response, Url};

use super::challenge::Challenge;
use super::error::RegistryError;
use super::token::{TokenRequest, bearer, buy};
use super::transport::{Transport, Verification};
use super::{refusal, retry};
use crate::digest::Digest;
use crate::reference::{DEFAULT_REGISTRY, Reference};
use crate::registries::Endpoint;

/// Challenges answered for one request before its 401 is believed.
const MAX_AUTH_ROUNDS: usize = 3;
const MAX_REFUSAL_BYTES: u64 = 16 << 10;
/// Where Docker Hub serves the registry protocol.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// A document that was fetched whole.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) bytes: Vec<u8>,
    pub(crate) content_type: Option<String>,
}

/// One repository at one endpoint, with what was learnt about it: the scheme it speaks and the token in force.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) transport: Arc<Transport>,
    registry: String,
    verification: Verification,
    repository: String,
    credentials: Option<Credentials>,
    scheme: OnceLock<&'static str>,
    authorization: Mutex<Option<HeaderValue>>,
}

impl Session {
    pub(crate) fn new(transport: Arc<Transport>, endpoint: &Endpoint, credentials: Option<Credentials>) -> Self {
        let registry = match endpoint.reference.domain() {
            DEFAULT_REGISTRY => DOCKER_HUB_HOST,
            domain => domain,
        };
        // A registry token is a bearer token already: it is presented at once and never traded.
        let authorization = match &credentials {
            Some(Credentials::RegistryToken(token)) => bearer(token),
            _ => None,
        };
        let verification = if endpoint.insecure { Verification::Waived } else { Verification::Required };
        Self {
            transport,
            registry: registry.to_owned(),
            verification,
            repository: endpoint.reference.path().to_owned(),
            credentials,
            scheme: OnceLock::new(),
            authorization: Mutex::new(authorization),
        }
    }

    /// The registry's host, with port.
    pub(crate) fn registry(&self) -> &str {
        &self.registry
    }

    /// Fetches the manifest or index with this version.
    pub(crate) async fn manifest(
        &self,
        reference: &Reference,
        accept: &str,
        limit: u64,
    ) -> Result<Fetched, RegistryError> {
        let accept = HeaderValue::from_str(accept).expect("media types are visible ASCII");
        let headers = HeaderMap::from_iter([(ACCEPT, accept)]);
        self.document(&format!("manifests/{}", reference.version()), &headers, limit).await
    }

    /// Fetches a small blob whole.
    pub(crate) async fn small_blob(&self, digest: &Digest, limit: u64) -> Result<Fetched, RegistryError> {
        self.document(&format!("blobs/{digest}"), &HeaderMap::new(), limit).await
    }

    /// Opens a blob at `offset`.
    pub(super) async fn open_blob(&self, digest: &Digest, offset: u64) -> Result<Response, RegistryError> {
        let mut headers = HeaderMap::new();
        if offset > 0 {
            let range = HeaderValue::from_str(&format!("bytes={offset}-")).expect("digits are visible ASCII");
            headers.insert(RANGE, range);
        }
        self.request(&format!("blobs/{digest}"), &headers).await
    }

    async fn document(&self, path: &str, headers: &HeaderMap, limit: u64) -> Result<Fetched, RegistryError> {
        let mut failed = 0;
        loop {
            let response = self.request(path, headers).await?;
            let content_type = response
                .headers()
                .get(reqwest::header::CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned);
            match self.transport.body(response, limit).await {
                Ok(bytes) => return Ok(Fetched { bytes, content_type }),
                Err(error) => {
                    failed += 1;
                    self.wait_or_fail(failed, error).await?;
                }
            }
        }
    }

    /// Sends a GET for `path` below the repository until it succeeds or patience ends.
    async fn request(&self, path: &str, headers: &HeaderMap) -> Result<Response, RegistryError> {
        let mut failed = 0;
        loop {
            match self.with_any_scheme(path, headers).await {
                Ok(response) => return Ok(response),
                Err(error) => {
                    failed += 1;
                    self.wait_or_fail(failed, error).await?;
                }
            }
        }
    }

    async fn wait_or_fail(&self, failed: u32, error: RegistryError) -> Result<(), RegistryError> {
        let jitter = crio_sys::random::bytes32().map_or(128, |bytes| bytes[0]);
        match retry::delay(self.transport.timeouts.backoff, failed, &error, jitter) {
            Some(wait) => {
                tracing::debug!(registry = self.registry, failed, error = %crio_types::chain(&error), "the request is tried again");
                tokio::time::sleep(wait).await;
                Ok(())
            }
            None => Err(error),
        }
    }

    /// Speaks https; to a registry configured as insecure also http, when nothing answers in TLS.
    async fn with_any_scheme(&self, path: &str, headers: &HeaderMap) -> Result<Response, RegistryError> {
        if let Some(scheme) = self.scheme.get() {
            return self.authenticated(&self.url(scheme, path)?, headers).await;
        }
        let secure_url = self.url("https", path)?;
        let secure = self.authenticated(&secure_url, headers).await;
        let scheme = match &secure {
            // Another host in the error is one the registry redirected to: the registry itself does speak https.
            Err(RegistryError::Unreachable { host, .. })
                if self.verification == Verification::Waived && *host == super::transport::host_of(&secure_url) =>
            {
                "http"
            }
            Err(RegistryError::Unreachable { .. } | RegistryError::Stalled { .. }) => return secure,
            _ => "https",
        };
        if scheme == "https" {
            let _ = self.scheme.set(scheme);
            return secure;
        }
        let plain = self.authenticated(&self.url(scheme, path)?, headers).await;
        match plain {
            // Neither scheme connects: the first failure tells more than the attempt that should not be needed.
            Err(RegistryError::Unreachable { .. }) => secure,
            plain => {
                let _ = self.scheme.set(scheme);
                plain
            }
        }
    }

    fn url(&self, scheme: &str, path: &str) -> Result<Url, RegistryError> {
        let text = format!("{scheme}://{}/v2/{}/{path}", self.registry, self.repository);
        text.parse()
            .map_err(|error| RegistryError::Unreachable { host: self.registry.clone(), source: Box::new(error) })
    }

    /// One request, with its challenges answered. The response has a success status.
    async fn authenticated(&self, url: &Url, headers: &HeaderMap) -> Result<Response, RegistryError> {
        for round in 0..=MAX_AUTH_ROUNDS {
            let authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let response = self.transport.get(url, self.verification, headers, authorization.as_ref()).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            let host = super::transport::host_of(response.url());
            let answer_headers = response.headers().clone();
            let may_answer =
                status.as_u16() == 401 && round < MAX_AUTH_ROUNDS && response.url().origin() == url.origin();
            // The body is read either way, so that the connection can be used again.
            let body = self.transport.body(response, MAX_REFUSAL_BYTES).await.unwrap_or_default();
            if !(may_answer && self.answer_challenge(&answer_headers, authorization.as_ref()).await?) {
                let anonymous = self.credentials.is_none();
                return Err(refusal::classify(&host, status.as_u16(), &answer_headers, &body, anonymous));
            }
        }
        unreachable!("the last round returns whatever the answer is")
    }

    /// Obtains what the challenge asks for; whether there is something new to present. `presented` is what was
    /// refused: another request may have replaced it in the meantime.
    async fn answer_challenge(
        &self,
        headers: &HeaderMap,
        presented: Option<&HeaderValue>,
    ) -> Result<bool, RegistryError> {
        if matches!(self.credentials, Some(Credentials::RegistryToken(_))) {
            return Ok(false);
        }
        if self.authorization.lock().unwrap_or_else(PoisonError::into_inner).as_ref() != presented {
            return Ok(true);
        }
        let fresh = match (Challenge::choose(headers), &self.credentials) {
            (Some(Challenge::Bearer { realm, service, scope }), credentials) => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.repository));
                let request = TokenRequest {
                    registry: &self.registry,
                    verification: self.verification,
                    realm: &realm,
                    service: service.as_deref(),
                    scope,
                    credentials: credentials.as_ref(),
                };
                buy(&self.transport, &request).await?
            }
            (Some(Challenge::Basic), Some(Credentials::Basic { username, password })) => basic(username, password),
            (Some(Challenge::Basic), _) | (None, _) => return Ok(false),
        };
        if presented == Some(&fresh) {
            return Ok(false);
        }
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
        Ok(true)
    }
}

fn basic(username: &str, password: &str) -> HeaderValue {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}
