//! Which image of a multi-platform index runs here.
//!
//! Follows the OCI image index specification: a platform is operating system, architecture in Go's words, and for
//! some architectures a variant.

use serde::Deserialize;

/// What an index says an image is built for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Platform {
    /// Operating system, `linux`.
    #[serde(default)]
    pub os: String,
    /// Architecture in Go's words: `amd64`, `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// Variant of the architecture: `v8`; often empty.
    #[serde(default)]
    pub variant: String,
}

impl Platform {
    /// What this program was built for.
    #[must_use]
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "loongarch64" => "loong64",
            other => other,
        };
        let variant = match architecture {
            "arm" => "v7",
            _ => "",
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: variant.to_owned() }
    }

    /// How well an image built for `offered` runs here: lower is better, `None` is not at all. A variant that merely
    /// spells out the architecture's base level (amd64 `v1`, arm64 `v8`) equals none.
    #[must_use]
    pub fn rank(&self, offered: &Self) -> Option<u32> {
        if offered.os != self.os || offered.architecture != self.architecture {
            return None;
        }
        let (ours, theirs) = (level(self)?, level(offered)?);
        ours.checked_sub(theirs)
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

/// The variant as a level of its architecture; an absent one is the lowest that is common.
fn level(platform: &Platform) -> Option<u32> {
    if platform.variant.is_empty() {
        return Some(match platform.architecture.as_str() {
            "arm" => 5,
            "arm64" => 8,
            _ => 1,
        });
    }
    platform.variant.strip_prefix('v')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Platform { os: next(), architecture: next(), variant: next() }
    }

    #[test]
    fn ranks_what_is_offered() {
        for (host, offered, rank) in [
            ("linux/amd64", "linux/amd64", Some(0)),
            ("linux/amd64", "linux/amd64/v1", Some(0)),
            ("linux/amd64", "linux/amd64/v3", None),
            ("linux/amd64", "linux/arm64", None),
            ("linux/amd64", "windows/amd64", None),
            ("linux/amd64", "unknown/unknown", None),
            ("linux/amd64", "linux/amd64/../x", None),
            ("linux/arm64", "linux/arm64/v8", Some(0)),
            ("linux/arm/v7", "linux/arm/v7", Some(0)),
            ("linux/arm/v7", "linux/arm/v6", Some(1)),
            ("linux/arm/v7", "linux/arm", Some(2)),
            ("linux/arm/v6", "linux/arm/v7", None),
        ] {
            assert_eq!(platform(host).rank(&platform(offered)), rank, "{offered} on {host}");
        }
    }
}
