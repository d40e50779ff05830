//! The image configuration, as far as a pull needs it: which diffs make up the root file system.
//!
//! The whole document is kept byte for byte by whoever stores the image; everything else in it is read from there.

use serde::Deserialize;

use crate::digest::Digest;

/// A configuration that does not fit its manifest or this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// It is not JSON of the expected shape.
    #[error("the image configuration is malformed at line {line}: {reason}")]
    Malformed {
        /// Where.
        line: usize,
        /// What the parser expected.
        reason: String,
    },
    /// Its diffs are not those of the manifest's layers.
    #[error("the image configuration lists {diffs} diffs for {layers} layers")]
    LayerCount {
        /// Diffs in the configuration.
        diffs: usize,
        /// Layers in the manifest.
        layers: usize,
    },
    /// It is for another operating system.
    #[error("the image is for {0:?}, not for linux")]
    OperatingSystem(String),
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    os: String,
    rootfs: Rootfs,
}

#[derive(Deserialize)]
struct Rootfs {
    #[serde(rename = "type")]
    kind: String,
    diff_ids: Vec<Digest>,
}

/// The digests of the uncompressed layers, bottom first.
pub(crate) fn diff_ids(bytes: &[u8], layers: usize) -> Result<Vec<Digest>, ConfigurationError> {
    let raw: Raw = serde_json::from_slice(bytes).map_err(|error| ConfigurationError::Malformed {
        line: error.line(),
        reason: error.to_string().chars().take(160).collect(),
    })?;
    if !raw.os.is_empty() && raw.os != "linux" {
        return Err(ConfigurationError::OperatingSystem(raw.os.chars().take(64).collect()));
    }
    if raw.rootfs.kind != "layers" {
        return Err(ConfigurationError::Malformed {
            line: 1,
            reason: "its root file system is not made of layers".to_owned(),
        });
    }
    if raw.rootfs.diff_ids.len() != layers {
        return Err(ConfigurationError::LayerCount { diffs: raw.rootfs.diff_ids.len(), layers });
    }
    Ok(raw.rootfs.diff_ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn diffs_must_match_the_layers() {
        let one = format!(r#"{{"os":"linux","rootfs":{{"type":"layers","diff_ids":["sha256:{HEX}"]}}}}"#);
        let cases = [
            (one.clone(), 1, true),
            (one.replace("linux", ""), 1, true),
            (one.replace("\"os\":\"linux\",", ""), 1, true),
            (one.clone(), 2, false),
            (one.replace("linux", "windows"), 1, false),
            (one.replace("layers", "layers+base"), 1, false),
            (one.replace("sha256:", "sha512:"), 1, false),
            (one.replace("sha256:e", "sha256:/"), 1, false),
            (r#"{"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#.to_owned(), 0, true),
            (r#"{"os":"linux"}"#.to_owned(), 0, false),
            (String::new(), 0, false),
        ];
        for (text, layers, accepted) in cases {
            assert_eq!(diff_ids(text.as_bytes(), layers).is_ok(), accepted, "{text}");
        }
    }
}
