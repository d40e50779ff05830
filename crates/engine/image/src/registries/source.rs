//! From which hosts a reference is fetched, in which order.

use super::{PullFrom, Registries};
use crate::reference::{Reference, ReferenceError};

/// A place to fetch a reference from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The reference under its name at that place.
    pub reference: Reference,
    /// Certificates need not verify, and plain HTTP is tried when TLS is not spoken.
    pub insecure: bool,
    /// It stands in for the registry the name belongs to, so what the caller presents to that one is not sent here.
    pub is_mirror: bool,
}

/// A reference that may not or cannot be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// registries.conf blocks it.
    #[error("registry {prefix} is blocked in registries.conf")]
    Blocked {
        /// The prefix that is blocked.
        prefix: String,
    },
    /// A location in registries.conf turns the name into no name.
    #[error("registries.conf rewrites {reference} to something else than an image name")]
    Rewrite {
        /// The reference.
        reference: Box<Reference>,
        /// Why.
        source: ReferenceError,
    },
}

impl Registries {
    /// Where to fetch `reference`: its mirrors in order, then the registry itself.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>, SourceError> {
        let Some((registry, length)) = self.table_for(reference) else {
            return Ok(vec![Endpoint { reference: reference.clone(), insecure: false, is_mirror: false }]);
        };
        if registry.blocked {
            return Err(SourceError::Blocked { prefix: registry.prefix.clone() });
        }
        let rewritten = |location: &str| rewrite(reference, length, location);
        let mut endpoints = Vec::with_capacity(registry.mirrors.len() + 1);
        for mirror in &registry.mirrors {
            let wanted = match mirror.pull_from {
                PullFrom::All => true,
                PullFrom::DigestOnly => reference.digest().is_some(),
                PullFrom::TagOnly => reference.digest().is_none(),
            };
            if wanted {
                let physical = rewritten(&mirror.location)?;
                endpoints.push(Endpoint {
                    is_mirror: physical.domain() != reference.domain(),
                    reference: physical,
                    insecure: mirror.insecure,
                });
            }
        }
        endpoints.push(Endpoint {
            reference: rewritten(&registry.location)?,
            insecure: registry.insecure,
            is_mirror: false,
        });
        Ok(endpoints)
    }
}

fn rewrite(reference: &Reference, length: usize, location: &str) -> Result<Reference, SourceError> {
    if location.is_empty() {
        return Ok(reference.clone());
    }
    let name = reference.to_string();
    let mut rewritten = format!("{location}{}", &name[length..]);
    // A one-word host would be taken for a repository on Docker Hub, so it is given the port it has anyway.
    if crate::reference::is_short(&rewritten)
        && let Some((host, rest)) = rewritten.split_once('/')
    {
        rewritten = format!("{host}:443/{rest}");
    }
    Reference::parse(&rewritten)
        .map_err(|source| SourceError::Rewrite { reference: Box::new(reference.clone()), source })
}

/// How much of `name` the prefix covers, if it matches: whole components, or for `*.host` the host before `.host`.
pub(super) fn matched_length(prefix: &str, name: &str) -> Option<usize> {
    if let Some(domain_and_path) = prefix.strip_prefix('*') {
        let host_length = name.find('/')?;
        let domain = domain_and_path.split('/').next().unwrap_or(domain_and_path);
        // The host may carry a port that the pattern does not name; the pattern then does not match.
        let start = host_length.checked_sub(domain.len()).filter(|start| *start > 0)?;
        return plain_match(domain_and_path, name.get(start..)?).map(|length| start + length);
    }
    plain_match(prefix, name)
}

fn plain_match(prefix: &str, name: &str) -> Option<usize> {
    let rest = name.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with(['/', ':', '@'])).then_some(prefix.len())
}
