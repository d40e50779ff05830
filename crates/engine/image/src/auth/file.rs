//! One authentication file.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crio_types::Credentials;
use serde::Deserialize;

use super::AuthError;
use crate::reference::{DEFAULT_REGISTRY, Reference};

const MAX_FILE_BYTES: u64 = 4 << 20;
/// User name that marks the secret as an identity token.
pub(super) const TOKEN_USER: &str = "<token>";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: String,
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default, rename = "identitytoken")]
    identity_token: String,
    #[serde(default, rename = "registrytoken")]
    registry_token: String,
}

impl AuthFile {
    /// Reads a file; `None` when there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, AuthError> {
        let failed = |source| AuthError::Read { path: path.to_owned(), source };
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        Self::parse(&bytes).map(Some).map_err(|line| AuthError::Parse { path: path.to_owned(), line })
    }

    /// The file in `bytes`, in the present format or in that of `.dockercfg`, which is the bare table of entries.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, usize> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| error.line())?;
        let is_present_format = ["auths", "credHelpers", "credsStore"].iter().any(|key| value.get(key).is_some());
        let looks_bare = value
            .as_object()
            .is_some_and(|object| !object.is_empty() && object.values().all(|entry| entry.get("auth").is_some()));
        if !is_present_format && looks_bare {
            let auths = serde_json::from_value(value).map_err(|error| error.line())?;
            return Ok(Self { auths, ..Self::default() });
        }
        serde_json::from_value(value).map_err(|error| error.line())
    }

    /// The helper this file names for one registry.
    pub(super) fn helper_for(&self, domain: &str) -> Option<&str> {
        self.cred_helpers.get(domain).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The helper this file names for all registries.
    pub(super) fn default_helper(&self) -> Option<&str> {
        Some(self.creds_store.as_str()).filter(|name| !name.is_empty())
    }

    /// The entry for the repository: its own, or that of the nearest path above it, or the registry's.
    pub(super) fn entry_for(&self, reference: &Reference, path: &Path) -> Result<Option<Credentials>, AuthError> {
        for key in keys(reference) {
            let exact = self.auths.get_key_value(&key);
            let found =
                exact.or_else(|| self.auths.iter().find(|(name, _)| !key.contains('/') && host_of(name) == key));
            if let Some((name, entry)) = found {
                return entry.credentials().map_err(|()| AuthError::Entry { path: path.to_owned(), key: name.clone() });
            }
        }
        Ok(None)
    }
}

impl Entry {
    /// What the entry holds; an empty entry, as Docker leaves beside a helper, holds nothing.
    fn credentials(&self) -> Result<Option<Credentials>, ()> {
        if !self.identity_token.is_empty() {
            return Ok(Some(Credentials::IdentityToken(self.identity_token.clone())));
        }
        if !self.registry_token.is_empty() {
            return Ok(Some(Credentials::RegistryToken(self.registry_token.clone())));
        }
        if self.auth.is_empty() {
            return Ok((!self.username.is_empty())
                .then(|| Credentials::Basic { username: self.username.clone(), password: self.password.clone() }));
        }
        decode_basic(&self.auth).map(Some).ok_or(())
    }
}

/// The user name and password in base64 of `user:password`. Docker pads the password with zero bytes.
pub(crate) fn decode_basic(encoded: &str) -> Option<Credentials> {
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(Credentials::Basic { username: username.to_owned(), password: password.trim_matches('\0').to_owned() })
}

/// Keys that may hold the repository's entry, the most specific first.
fn keys(reference: &Reference) -> Vec<String> {
    let repository = reference.repository();
    let mut keys = vec![repository.clone()];
    let mut rest = repository.as_str();
    while let Some((parent, _)) = rest.rsplit_once('/') {
        keys.push(parent.to_owned());
        rest = parent;
    }
    keys
}

/// The registry a key of Docker's older style means: `https://index.docker.io/v1/` is Docker Hub.
fn host_of(key: &str) -> &str {
    let Some(rest) = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")) else {
        // Without a scheme a key with a path is a repository prefix of the present style, but for the one host
        // whose key always had a path.
        return match key {
            "index.docker.io" | "index.docker.io/v1/" | "registry-1.docker.io" => DEFAULT_REGISTRY,
            _ => key,
        };
    };
    match rest.split('/').next().unwrap_or(rest) {
        "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY,
        host => host,
    }
}
