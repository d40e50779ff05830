//! Manifests and indexes, OCI and Docker schema 2: outside bytes to trusted values.
//!
//! A document is exactly one thing. What says it is a manifest and also carries the parts of an index is refused
//! (CVE-2021-41190: two tools could run two different images under one digest), and so is a document whose own media
//! type contradicts its shape. Duplicate keys of the fields we read are refused by the parser. Digests and sizes are
//! parsed into types that cannot be wrong; the address fields (`urls`) of foreign layers are never followed.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::digest::Digest;
use crate::platform::Platform;

mod select;

pub(crate) use select::choose;

/// Largest manifest, index or image configuration in bytes.
pub const MAX_DOCUMENT_BYTES: u64 = 4 << 20;
/// Most layers of an image.
pub const MAX_LAYERS: usize = 512;
/// Most entries of an index.
pub const MAX_INDEX_ENTRIES: usize = 1024;
/// Largest layer blob in bytes that a descriptor may announce.
pub const MAX_LAYER_BYTES: u64 = 1 << 40;

/// Media type of an OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of a Docker schema 2 manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Media type of a Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What we tell registries we understand.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// A document that is no manifest we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is not JSON of the expected shape.
    #[error("the manifest is malformed at line {line}, column {column}: {reason}")]
    Malformed {
        /// Where.
        line: usize,
        /// Where.
        column: usize,
        /// What the parser expected.
        reason: String,
    },
    /// It could be read as two different things, or says it is something else than it is.
    #[error("the manifest is ambiguous: {0}")]
    Ambiguous(&'static str),
    /// It is something we do not pull.
    #[error("the manifest is not supported: {0}")]
    Unsupported(String),
    /// A named limit is passed.
    #[error("the manifest has {count} {what}, more than {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: u64,
        /// The limit.
        limit: u64,
    },
    /// An index offers nothing for this machine.
    #[error("no image for {wanted} among {offered}")]
    NoPlatform {
        /// This machine.
        wanted: String,
        /// What the index offers.
        offered: String,
    },
}

/// A reference to content by digest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What an index entry is built for.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image of one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its media type, by its own words, the registry's, or its shape.
    pub media_type: String,
    /// The image configuration.
    pub config: Descriptor,
    /// Layers, bottom first.
    pub layers: Vec<Descriptor>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A list of images for different platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its entries, in order.
    pub manifests: Vec<Descriptor>,
}

/// What a registry keeps under a tag or digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One image.
    Manifest(Box<Manifest>),
    /// Several.
    Index(Index),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: u64,
    #[serde(default)]
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    // Parts of Docker's first schema; only whether they are there is of interest.
    fs_layers: Option<serde::de::IgnoredAny>,
    history: Option<serde::de::IgnoredAny>,
    #[serde(default, deserialize_with = "null_is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Document {
    /// Parses what a registry answered. `content_type` is the answer's header, which counts only when the document
    /// does not state its own type.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| malformed(bytes, &error))?;
        if raw.schema_version == 1 || raw.fs_layers.is_some() {
            return Err(ManifestError::Unsupported("it is of Docker's schema 1".to_owned()));
        }
        if raw.schema_version != 2 {
            return Err(ManifestError::Unsupported(format!("its schema version is {}", raw.schema_version)));
        }
        if raw.history.is_some() {
            return Err(ManifestError::Ambiguous("it carries the history of a schema 1 manifest"));
        }
        match (raw.manifests, raw.config, raw.layers) {
            (Some(manifests), None, None) => {
                check_type(raw.media_type.as_deref(), &[OCI_INDEX, DOCKER_LIST])?;
                index(manifests).map(Self::Index)
            }
            (None, Some(config), Some(layers)) => {
                check_type(raw.media_type.as_deref(), &[OCI_MANIFEST, DOCKER_MANIFEST])?;
                let media_type = manifest_type(raw.media_type.as_deref(), content_type, &config);
                manifest(media_type, config, layers, raw.annotations).map(|manifest| Self::Manifest(Box::new(manifest)))
            }
            (Some(_), ..) => Err(ManifestError::Ambiguous("it is a manifest and an index at once")),
            (None, ..) => Err(ManifestError::Unsupported("it is neither an image nor an index".to_owned())),
        }
    }
}

fn malformed(bytes: &[u8], error: &serde_json::Error) -> ManifestError {
    // A registry behind a captive portal answers with a web page.
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'<') {
        return ManifestError::Unsupported("it is a web page".to_owned());
    }
    ManifestError::Malformed {
        line: error.line(),
        column: error.column(),
        reason: match error.classify() {
            serde_json::error::Category::Eof => "it ends early".to_owned(),
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON".to_owned(),
            serde_json::error::Category::Data => error.to_string().chars().take(160).collect(),
        },
    }
}

fn check_type(stated: Option<&str>, expected: &[&str]) -> Result<(), ManifestError> {
    match stated {
        None | Some("") => Ok(()),
        Some(stated) if expected.contains(&stated) => Ok(()),
        Some(_) => Err(ManifestError::Ambiguous("its media type and its contents disagree")),
    }
}

/// The manifest's type: its own statement first. OCI manifests may leave it out, Docker's may not, so the
/// configuration's type decides before the registry's word does.
fn manifest_type(stated: Option<&str>, content_type: Option<&str>, config: &Descriptor) -> String {
    let header = content_type
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .filter(|value| matches!(*value, OCI_MANIFEST | DOCKER_MANIFEST));
    match (stated.filter(|stated| !stated.is_empty()), config.media_type.as_str()) {
        (Some(stated), _) => stated.to_owned(),
        (None, DOCKER_CONFIG) => DOCKER_MANIFEST.to_owned(),
        (None, OCI_CONFIG) => OCI_MANIFEST.to_owned(),
        (None, _) => header.unwrap_or(OCI_MANIFEST).to_owned(),
    }
}

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

fn index(manifests: Vec<Descriptor>) -> Result<Index, ManifestError> {
    limit("entries", manifests.len() as u64, MAX_INDEX_ENTRIES as u64)?;
    Ok(Index { manifests })
}

fn manifest(
    media_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
) -> Result<Manifest, ManifestError> {
    if !matches!(config.media_type.as_str(), OCI_CONFIG | DOCKER_CONFIG) {
        let kind: String = config.media_type.chars().take(128).collect();
        return Err(ManifestError::Unsupported(format!("it is an artifact of type {kind:?}, not an image")));
    }
    limit("bytes of configuration", config.size, MAX_DOCUMENT_BYTES)?;
    limit("layers", layers.len() as u64, MAX_LAYERS as u64)?;
    // A container on top of nothing would run in whatever directory happens to be there.
    if layers.is_empty() {
        return Err(ManifestError::Unsupported("it has no layers".to_owned()));
    }
    for layer in &layers {
        limit("bytes in one layer", layer.size, MAX_LAYER_BYTES)?;
        if layer.media_type.ends_with("+encrypted") {
            return Err(ManifestError::Unsupported("its layers are encrypted".to_owned()));
        }
    }
    Ok(Manifest { media_type, config, layers, annotations })
}

fn limit(what: &'static str, count: u64, limit: u64) -> Result<(), ManifestError> {
    if count > limit {
        return Err(ManifestError::TooMany { what, count, limit });
    }
    Ok(())
}

/// Go writes an empty map as `null`.
fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests;
