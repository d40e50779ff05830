//! Images that are more, or less, than busybox.

use anyhow::Result;
use crio_testkit::Image;
use crio_testkit::image::{Blob, Compression, Format, ImageBuilder, Layer};
use sha2::{Digest as _, Sha256};

/// The layer nearly every image here begins with: busybox and its shell.
///
/// # Errors
/// The package `busybox-static` is not installed.
pub fn programs() -> Result<Layer> {
    let layer = Layer::new().host_file("/bin/busybox", "/bin/busybox")?;
    let applets = ["sh", "cat", "echo", "id", "ls", "pwd", "sleep", "true"];
    Ok(applets.into_iter().fold(layer, |layer, applet| layer.hard_link(&format!("/bin/{applet}"), "/bin/busybox")))
}

/// A builder that has busybox already.
///
/// # Errors
/// As [`programs`].
pub fn with_shell() -> Result<ImageBuilder> {
    Ok(ImageBuilder::new(Format::Oci).layer(programs()?, Compression::Gzip))
}

/// A small image with nothing to run; `content` makes it another one.
///
/// # Errors
/// It cannot be packed.
pub fn small(format: Format, compression: Compression, content: &str) -> Result<Image> {
    let layer = Layer::new().file("/content", 0o644, content);
    ImageBuilder::new(format).layer(layer, compression).build()
}

/// An image with so much in it that it cannot be pulled in an instant.
///
/// # Errors
/// It cannot be packed.
pub fn large(bytes: usize) -> Result<Image> {
    let mut state = 0x9e37_79b9_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    })
    .take(bytes)
    .collect();
    let layer = Layer::new().file("/noise", 0o644, noise);
    ImageBuilder::new(Format::Oci).layer(layer, Compression::None).build()
}

/// An image put together by hand, so that its parts may contradict one another.
#[derive(Debug, Clone)]
pub struct Forged {
    /// The configuration document.
    pub config: serde_json::Value,
    /// The layers, as they travel.
    pub layers: Vec<Blob>,
}

impl Forged {
    /// An honest image of one uncompressed layer.
    #[must_use]
    pub fn of_tar(tar: Vec<u8>) -> Self {
        let layer = blob("application/vnd.oci.image.layer.v1.tar", tar);
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let config = serde_json::json!({
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": [layer.digest] },
        });
        Self { config, layers: vec![layer] }
    }

    /// The image, with a manifest that names every part rightly.
    #[must_use]
    pub fn image(&self) -> Image {
        let config = blob("application/vnd.oci.image.config.v1+json", self.config.to_string().into_bytes());
        let descriptor = |blob: &Blob| {
            serde_json::json!({
                "mediaType": blob.media_type, "digest": blob.digest, "size": blob.bytes.len(),
            })
        };
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(&config),
            "layers": self.layers.iter().map(descriptor).collect::<Vec<_>>(),
        });
        let id = config.digest.trim_start_matches("sha256:").to_owned();
        let mut blobs = self.layers.clone();
        blobs.push(config);
        Image { blobs, manifests: Vec::new(), root: blob(MANIFEST, manifest.to_string().into_bytes()), id }
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Bytes with their digest.
#[must_use]
pub fn blob(media_type: &str, bytes: Vec<u8>) -> Blob {
    Blob { media_type: media_type.to_owned(), digest: format!("sha256:{}", hex::encode(Sha256::digest(&bytes))), bytes }
}

/// One entry of an archive, with names exactly as given: `kind` is `0` for a file, `1` a hard link, `2` a symbolic link,
/// `5` a directory. Times and owners are zero.
#[must_use]
pub fn tar_entry(kind: u8, name: &str, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    let mut put = |offset: usize, text: &[u8]| header[offset..offset + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000755\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut entry = header.to_vec();
    entry.extend_from_slice(content);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

/// An archive of entries.
#[must_use]
pub fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = entries.concat();
    archive.resize(archive.len() + 1024, 0);
    archive
}
