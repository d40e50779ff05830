//! Images made of nothing but bytes.

use std::io::Write;

use crate::digest::Digest;
use crate::manifest::{OCI_INDEX, OCI_MANIFEST};

/// An image and its parts.
#[derive(Debug, Clone)]
pub(super) struct TestImage {
    pub(super) tars: Vec<Vec<u8>>,
    pub(super) blobs: Vec<Vec<u8>>,
    pub(super) config: Vec<u8>,
    pub(super) manifest: Vec<u8>,
}

impl TestImage {
    /// An image of so many small layers, compressed in turn with gzip, zstd and not at all.
    pub(super) fn layers(count: usize) -> Self {
        Self::sized(count, 64 << 10)
    }

    /// An image whose layers have about this many bytes, which do not compress.
    pub(super) fn sized(count: usize, bytes: usize) -> Self {
        let tars = (0..count).map(|index| tar(index, bytes)).collect();
        Self::of_tars(tars, |index, tar| match index % 3 {
            0 => gzip(tar),
            1 => zstd::encode_all(tar, 1).unwrap(),
            _ => tar.to_vec(),
        })
    }

    pub(super) fn of_tars(tars: Vec<Vec<u8>>, compress: impl Fn(usize, &[u8]) -> Vec<u8>) -> Self {
        let blobs: Vec<_> = tars.iter().enumerate().map(|(index, tar)| compress(index, tar)).collect();
        let diffs: Vec<_> = tars.iter().map(|tar| Digest::of(tar).to_string()).collect();
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": diffs},
        });
        Self::assemble(tars, blobs, config.to_string().into_bytes())
    }

    fn assemble(tars: Vec<Vec<u8>>, blobs: Vec<Vec<u8>>, config: Vec<u8>) -> Self {
        let layers: Vec<_> =
            blobs.iter().map(|blob| descriptor("application/vnd.oci.image.layer.v1.tar+gzip", blob)).collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers,
        });
        Self { tars, blobs, config, manifest: manifest.to_string().into_bytes() }
    }

    /// The same image with another configuration, the manifest fitting it.
    pub(super) fn with_config(&self, config: &serde_json::Value) -> Self {
        Self::assemble(self.tars.clone(), self.blobs.clone(), config.to_string().into_bytes())
    }

    /// The same image with its manifest changed as text.
    pub(super) fn with_manifest(&self, from: &str, to: &str) -> Self {
        let manifest = String::from_utf8(self.manifest.clone()).unwrap();
        assert!(manifest.contains(from), "{manifest}");
        Self { manifest: manifest.replace(from, to).into_bytes(), ..self.clone() }
    }

    pub(super) fn manifest_digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    pub(super) fn config_digest(&self) -> Digest {
        Digest::of(&self.config)
    }

    /// An index in which this image is the one for amd64.
    pub(super) fn index(&self) -> Vec<u8> {
        let entry = |digest: Digest, size: usize, architecture: &str| {
            serde_json::json!({
                "mediaType": OCI_MANIFEST, "digest": digest.to_string(), "size": size,
                "platform": {"os": "linux", "architecture": architecture},
            })
        };
        serde_json::json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX,
            "manifests": [
                entry(Digest::of(b"another"), 7, "arm64"),
                entry(self.manifest_digest(), self.manifest.len(), "amd64"),
            ],
        })
        .to_string()
        .into_bytes()
    }
}

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn descriptor(media_type: &str, content: &[u8]) -> serde_json::Value {
    serde_json::json!({"mediaType": media_type, "digest": Digest::of(content).to_string(), "size": content.len()})
}

/// A tar stream with one file of bytes that look random and depend on `seed`.
fn tar(seed: usize, bytes: usize) -> Vec<u8> {
    let mut content = Vec::with_capacity(bytes);
    let mut block = Digest::of(&seed.to_be_bytes());
    while content.len() < bytes {
        content.extend(block.bytes());
        block = Digest::of(&block.bytes());
    }
    content.truncate(bytes);
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, format!("file-{seed}"), content.as_slice()).unwrap();
    archive.into_inner().unwrap()
}
