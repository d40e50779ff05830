//! Where images come from: references, registries.conf, credentials, the registry client and the pull pipeline.
//!
//! The crate fetches and verifies; it stores nothing. Layers go to a [`LayerSink`], which the images service
//! implements over the store. Start at [`Puller::pull`].
//!
//! | module | what |
//! |---|---|
//! | `reference`, `digest`, `platform` | names of images, normalised; content digests; what runs here |
//! | `registries` | registries.conf: short names, mirrors, blocked and insecure registries |
//! | `auth`, `certificates`, `policy` | authentication files and helpers; certs.d; policy.json |
//! | `registry` | the distribution protocol: challenges, tokens, redirects, retries, resumed blobs |
//! | `manifest`, `configuration` | documents from registries, parsed and checked |
//! | `pull` | from a reference to committed layers |
//!
//! Everything that comes from a registry is hostile until its digest says otherwise. Limits are named constants:
//! documents [`MAX_DOCUMENT_BYTES`], layers [`MAX_LAYERS`], growth [`UnpackLimits`], patience [`Timeouts`].

mod auth;
mod certificates;
mod client;
mod configuration;
mod digest;
mod manifest;
mod platform;
mod policy;
mod pull;
mod reference;
mod registries;
mod registry;

pub use auth::{AuthError, AuthFiles};
pub use certificates::CertificateError;
pub use client::{Client, Config};
pub use configuration::ConfigurationError;
pub use digest::{Digest, DigestError};
pub use manifest::{
    DOCKER_LIST, DOCKER_MANIFEST, Descriptor, Document, Index, MAX_DOCUMENT_BYTES, MAX_INDEX_ENTRIES, MAX_LAYER_BYTES,
    MAX_LAYERS, Manifest, ManifestError, OCI_INDEX, OCI_MANIFEST,
};
pub use platform::Platform;
pub use policy::{Policy, PolicyError};
pub use pull::{
    AttemptError, ChainPosition, Compression, LayerError, LayerInfo, LayerProgress, LayerSink, Progress, PullError,
    PulledImage, Puller, Request, SinkError, UnpackLimits,
};
pub use reference::{DEFAULT_REGISTRY, DEFAULT_TAG, Reference, ReferenceError};
pub use registries::{
    Endpoint, Registries, RegistriesError, RegistriesPaths, ShortNameError, ShortNameMode, SourceError,
};
pub use registry::{RegistryError, Timeouts};
