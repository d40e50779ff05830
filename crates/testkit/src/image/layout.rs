//! Writing an image as the `oci:` and `dir:` transports read it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{Blob, Image};

impl Image {
    /// Writes an OCI image layout, in which `tag` names the image.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_oci(&self, directory: &Path, tag: &str) -> Result<()> {
        let blobs = directory.join("blobs/sha256");
        fs::create_dir_all(&blobs).with_context(|| format!("cannot make {}", blobs.display()))?;
        for blob in self.everything() {
            fs::write(blobs.join(hex(blob)), &blob.bytes).context("cannot write a blob")?;
        }
        let mut entry = self.root.descriptor();
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        let index = json!({ "schemaVersion": 2, "manifests": [entry] });
        fs::write(directory.join("index.json"), index.to_string()).context("cannot write index.json")?;
        let marker = json!({ "imageLayoutVersion": "1.0.0" });
        fs::write(directory.join("oci-layout"), marker.to_string()).context("cannot write oci-layout")
    }

    /// Writes the directory form that containers/image calls `dir:`. Only single images have one.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_dir(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        for blob in &self.blobs {
            fs::write(directory.join(hex(blob)), &blob.bytes).context("cannot write a blob")?;
        }
        fs::write(directory.join("version"), "Directory Transport Version: 1.1\n").context("cannot write version")?;
        fs::write(directory.join("manifest.json"), &self.root.bytes).context("cannot write manifest.json")
    }

    fn everything(&self) -> impl Iterator<Item = &Blob> {
        self.blobs.iter().chain(&self.manifests).chain([&self.root])
    }
}

fn hex(blob: &Blob) -> &str {
    blob.digest.trim_start_matches("sha256:")
}
