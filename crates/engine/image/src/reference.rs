//! Image references: `registry/path:tag@digest`, in one normal form.
//!
//! The grammar is the distribution specification's, the defaults are Docker's: a name whose first component is not a
//! host belongs to `docker.io`, and a one-component name there to `docker.io/library`. Whether such a *short* name
//! should mean Docker Hub at all is decided by registries.conf ([`crate::Registries`]), not here.
//!
//! A value of [`Reference`] is safe to put into a URL path: its parts hold only characters the grammar allows.

use crate::digest::Digest;

/// The registry that names without a host belong to.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag of a name that carries neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;
const MAX_REFERENCE: usize = 1024;

/// A normalised reference: `domain/path[:tag][@digest]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A name that is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image reference: {reason}")]
pub struct ReferenceError {
    /// The name, shortened.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Reference {
    /// Parses a reference and fills in what Docker's conventions leave out, except a tag.
    ///
    /// # Errors
    /// The text does not follow the grammar, names no sha256 digest, or looks like an image id.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        Self::parse_parts(text).map_err(|reason| ReferenceError { text: text.chars().take(MAX_NAME).collect(), reason })
    }

    fn parse_parts(text: &str) -> Result<Self, &'static str> {
        let text = strip_transport(text);
        if text.len() > MAX_REFERENCE {
            return Err("it is too long");
        }
        let split = split(text)?;
        if is_hex_id(split.name) {
            return Err("64 hexadecimal digits are an image id");
        }
        let (domain, path) = match split_domain(split.name) {
            Some((domain, path)) => (domain, path.to_owned()),
            None => (DEFAULT_REGISTRY, split.name.to_owned()),
        };
        let domain = if domain == "index.docker.io" { DEFAULT_REGISTRY } else { domain };
        let path = if domain == DEFAULT_REGISTRY && !path.contains('/') { format!("library/{path}") } else { path };
        check_domain(domain)?;
        check_path(&path)?;
        if domain.len() + 1 + path.len() > MAX_NAME {
            return Err("its name is longer than 255 characters");
        }
        Ok(Self { domain: domain.to_owned(), path, tag: split.tag.map(str::to_owned), digest: split.digest })
    }

    /// The registry's host, with a port if one was given.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository below the registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `domain/path`: the repository.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// This repository at `digest`, without a tag.
    #[must_use]
    pub fn at_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// What is fetched and recorded: with a digest the tag is dropped, because only the digest is binding; with
    /// neither the tag is `latest`.
    #[must_use]
    pub fn pinned_down(&self) -> Self {
        let mut reference = self.clone();
        match (&self.digest, &self.tag) {
            (Some(_), _) => reference.tag = None,
            (None, Some(_)) => {}
            (None, None) => reference.tag = Some(DEFAULT_TAG.to_owned()),
        }
        reference
    }

    /// What a registry calls the version: the digest if there is one, else the tag, else `latest`.
    #[must_use]
    pub fn version(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

/// A name cut into its parts, not yet normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split<'a> {
    pub(crate) name: &'a str,
    pub(crate) tag: Option<&'a str>,
    pub(crate) digest: Option<Digest>,
}

/// Cuts tag and digest off a name and checks both.
pub(crate) fn split(text: &str) -> Result<Split<'_>, &'static str> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse().map_err(|_| "its digest is not a sha256 digest")?)),
        None => (text, None),
    };
    // A colon before the last slash belongs to a port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    Ok(Split { name, tag, digest })
}

/// Whether `text` leaves the registry open, so that registries.conf decides where it comes from.
pub(crate) fn is_short(text: &str) -> bool {
    split(strip_transport(text)).is_ok_and(|parts| split_domain(parts.name).is_none())
}

/// `text` without the `docker://` that CRI-O's `default_transport` may have put before it.
pub(crate) fn strip_transport(text: &str) -> &str {
    text.strip_prefix("docker://").unwrap_or(text)
}

/// The host and the rest, when the first component can only be a host.
fn split_domain(name: &str) -> Option<(&str, &str)> {
    let (first, rest) = name.split_once('/')?;
    let is_host = first == "localhost"
        || first.contains(['.', ':'])
        || first.starts_with('[')
        || first.bytes().any(|b| b.is_ascii_uppercase());
    is_host.then_some((first, rest))
}

fn check_domain(domain: &str) -> Result<(), &'static str> {
    let (host, port) = split_port(domain)?;
    if let Some(port) = port
        && (port.parse::<u16>().is_err() || !port.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err("its port is not a number between 0 and 65535");
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().map(|_| ()).map_err(|_| "its host is not an IPv6 address");
    }
    let label_is_fine = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.split('.').all(label_is_fine) { Ok(()) } else { Err("its registry is not a host name") }
}

fn split_port(domain: &str) -> Result<(&str, Option<&str>), &'static str> {
    if domain.starts_with('[') {
        let end = domain.find(']').ok_or("its IPv6 address has no end")?;
        let (host, rest) = domain.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err("its registry is not a host name"),
        };
    }
    Ok(match domain.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (domain, None),
    })
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("it names no repository");
    }
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("repository names are lower case");
    }
    if path.split('/').all(component_is_fine) {
        Ok(())
    } else {
        Err("a part of its name is empty or holds characters that are not allowed")
    }
}

/// Letters and digits, with one `.`, one or two `_`, or any number of `-` between them.
fn component_is_fine(component: &str) -> bool {
    let bytes = component.as_bytes();
    let is_word = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if !bytes.first().is_some_and(is_word) || !bytes.last().is_some_and(is_word) {
        return false;
    }
    bytes
        .split(is_word)
        .filter(|separator| !separator.is_empty())
        .all(|separator| matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-'))
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let fine = tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-');
    if fine { Ok(()) } else { Err("its tag is empty, too long or holds characters that are not allowed") }
}

fn is_hex_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
