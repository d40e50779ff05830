//! Images built out of files of this machine, deterministic to the byte: the same builder gives the same digests.
//!
//! An [`Image`] is a set of blobs and a root manifest (or an index of several). It can be pushed to a
//! [`Registry`](crate::Registry) or written as an `oci:` or `dir:` layout.
//! Formats: OCI image-spec 1.1, Docker image manifest version 2 schema 2.

mod layer;
mod layout;
mod preset;
mod program;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub use layer::{Compression, Layer};
pub use preset::{busybox, busybox_builder, pause, pause_builder};

/// Which family of media types an image uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OCI image-spec.
    Oci,
    /// Docker's schema 2.
    Docker,
}

impl Format {
    fn manifest(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    fn index(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.index.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    fn layer(self, compression: Compression) -> String {
        let suffix = match (self, compression) {
            (_, Compression::None) => "",
            (Self::Oci, Compression::Gzip) => "+gzip",
            (Self::Oci, Compression::Zstd) => "+zstd",
            (Self::Docker, Compression::Gzip) => ".gzip",
            (Self::Docker, Compression::Zstd) => ".zstd",
        };
        match self {
            Self::Oci => format!("application/vnd.oci.image.layer.v1.tar{suffix}"),
            Self::Docker => format!("application/vnd.docker.image.rootfs.diff.tar{suffix}"),
        }
    }
}

/// Bytes with their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// What they are.
    pub media_type: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Blob {
    fn new(media_type: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { media_type: media_type.into(), digest: digest(&bytes), bytes }
    }

    fn of_json(media_type: &str, value: &Value) -> Self {
        Self::new(media_type, value.to_string().into_bytes())
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// A finished image, or an index of several.
#[derive(Debug, Clone)]
pub struct Image {
    /// Configuration and layers.
    pub blobs: Vec<Blob>,
    /// The manifests an index lists; empty for a single image.
    pub manifests: Vec<Blob>,
    /// The manifest or index that a tag names.
    pub root: Blob,
    /// The configuration's digest in hexadecimal digits, which is the image's id; empty for an index.
    pub id: String,
}

impl Image {
    /// An index that offers each image for a platform, written `os/architecture`.
    ///
    /// # Errors
    /// A platform is written otherwise, or an entry is itself an index.
    pub fn index(format: Format, images: &[(&str, Image)]) -> Result<Self> {
        let mut entries = Vec::new();
        let (mut blobs, mut manifests) = (Vec::new(), Vec::new());
        for (platform, image) in images {
            let parts: Vec<&str> = platform.split('/').collect();
            ensure!(parts.len() == 2, "{platform:?} is not a platform");
            ensure!(image.manifests.is_empty(), "an index lists images only");
            let mut entry = image.root.descriptor();
            entry["platform"] = json!({ "os": parts[0], "architecture": parts[1] });
            entries.push(entry);
            blobs.extend(image.blobs.clone());
            manifests.push(image.root.clone());
        }
        let index = json!({ "schemaVersion": 2, "mediaType": format.index(), "manifests": entries });
        Ok(Self { blobs, manifests, root: Blob::of_json(format.index(), &index), id: String::new() })
    }
}

/// Builds one image.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    format: Format,
    layers: Vec<(Layer, Compression)>,
    config: Value,
    architecture: String,
}

impl ImageBuilder {
    /// An image without layers, for this machine's architecture.
    #[must_use]
    pub fn new(format: Format) -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            format,
            layers: Vec::new(),
            config: json!({ "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] }),
            architecture: architecture.to_owned(),
        }
    }

    /// Adds a layer on top.
    #[must_use]
    pub fn layer(mut self, layer: Layer, compression: Compression) -> Self {
        self.layers.push((layer, compression));
        self
    }

    /// Sets a field of the configuration's `config` object, such as `Entrypoint`, `Cmd`, `User`, `WorkingDir`, `Volumes`,
    /// `StopSignal`, `Labels`.
    #[must_use]
    pub fn config(mut self, field: &str, value: Value) -> Self {
        self.config[field] = value;
        self
    }

    /// Claims another architecture.
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        architecture.clone_into(&mut self.architecture);
        self
    }

    /// Packs the layers and writes configuration and manifest.
    ///
    /// # Errors
    /// A layer cannot be packed.
    pub fn build(&self) -> Result<Image> {
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for (layer, compression) in &self.layers {
            let tar = layer.tar()?;
            diff_ids.push(digest(&tar));
            layers.push(Blob::new(self.format.layer(*compression), compression.apply(tar)?));
        }
        let history: Vec<Value> = diff_ids.iter().map(|_| json!({ "created_by": "crio-testkit" })).collect();
        let config = json!({
            "created": "2026-01-01T00:00:00Z",
            "architecture": self.architecture,
            "os": "linux",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": history,
        });
        let config = Blob::of_json(self.format.config(), &config);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": self.format.manifest(),
            "config": config.descriptor(),
            "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
        });
        let id = config.digest.trim_start_matches("sha256:").to_owned();
        let mut blobs = layers;
        blobs.push(config);
        Ok(Image { blobs, manifests: Vec::new(), root: Blob::of_json(self.format.manifest(), &manifest), id })
    }
}

#[cfg(test)]
mod tests;
