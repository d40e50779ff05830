//! What a runtime can do: from its `features` command, or from its version when it is too old to have one.
//!
//! Unknown means *no*, and the specification version falls back to 1.0.2, which every runtime of interest reads.
//! See the OCI runtime specification, features.md.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The specification version to write for a runtime that does not say which it reads.
const FALLBACK_VERSION: &str = "1.0.2";
/// The annotation by which runc says that it is built with checkpoints; crun says it by the same.
const CHECKPOINT: &str = "org.opencontainers.runc.checkpoint.enabled";

/// What a runtime can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// The `ociVersion` to write into its configurations.
    pub oci_version: String,
    /// Recursive read-only mounts (the `rro` option).
    pub recursive_read_only: bool,
    /// Joining a user namespace.
    pub user_namespaces: bool,
    /// Writing and restoring checkpoints, given a CRIU that works.
    pub checkpoint: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            oci_version: FALLBACK_VERSION.to_owned(),
            recursive_read_only: false,
            user_namespaces: false,
            checkpoint: false,
        }
    }
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "ociVersionMax", default)]
    version_max: String,
    #[serde(rename = "mountOptions", default)]
    mount_options: Vec<String>,
    #[serde(default)]
    linux: Option<Linux>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Linux {
    #[serde(default)]
    namespaces: Vec<String>,
}

impl Features {
    /// Reads the output of `<runtime> features`; `None` when it is none.
    pub(crate) fn from_document(bytes: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(bytes).ok()?;
        let namespaces = document.linux.map(|linux| linux.namespaces).unwrap_or_default();
        Some(Self {
            oci_version: writable_version(&document.version_max),
            recursive_read_only: document.mount_options.iter().any(|option| option == "rro"),
            user_namespaces: namespaces.iter().any(|kind| kind == "user"),
            checkpoint: document.annotations.get(CHECKPOINT).is_some_and(|value| value == "true"),
        })
    }

    /// Reads the output of `<runtime> --version`, for a runtime without `features`. crun and runc of any age join user
    /// namespaces; crun had recursive read-only mounts from 1.4 on, and lists with plus signs what it is built with.
    pub(crate) fn from_version(text: &str) -> Self {
        let of = |prefix| text.lines().find_map(|line| line.strip_prefix(prefix)).and_then(version_pair);
        let (crun, runc) = (of("crun version "), of("runc version "));
        Self {
            recursive_read_only: crun.is_some_and(|version| version >= (1, 4)),
            user_namespaces: crun.or(runc).is_some(),
            checkpoint: crun.is_some() && text.split_whitespace().any(|word| word == "+CRIU"),
            ..Self::default()
        }
    }
}

/// A version we may write: no pre-release suffix, and not above what we produce.
fn writable_version(maximum: &str) -> String {
    let release = maximum.split(['-', '+']).next().unwrap_or_default();
    match version_pair(release) {
        Some((1, 0)) => release.to_owned(),
        Some((1, 1)) => "1.1.0".to_owned(),
        Some((1, minor)) if minor >= 2 => "1.2.0".to_owned(),
        _ => FALLBACK_VERSION.to_owned(),
    }
}

/// Whether this kernel can make mounts read-only all the way down (`mount_setattr`, Linux 5.12).
pub(crate) fn kernel_mounts_recursively_read_only() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    version_pair(&release) >= Some((5, 12))
}

fn version_pair(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read() {
        let cases = [
            (
                r#"{"ociVersionMin":"1.0.0","ociVersionMax":"1.0.2-dev","mountOptions":["ro","rro"]}"#,
                "1.0.2",
                true,
                false,
            ),
            (
                r#"{"ociVersionMax":"1.2.1","mountOptions":[],"linux":{"namespaces":["mount","user","uts"]}}"#,
                "1.2.0",
                false,
                true,
            ),
            (r#"{"ociVersionMax":"1.1.0+dev","linux":{"namespaces":["mount"]}}"#, "1.1.0", false, false),
            (
                r#"{"ociVersionMax":"1.0.2","annotations":{"org.opencontainers.runc.checkpoint.enabled":"true"}}"#,
                "1.0.2",
                false,
                false,
            ),
            (r#"{"ociVersionMax":"2.0.0"}"#, "1.0.2", false, false),
            ("{}", "1.0.2", false, false),
        ];
        for (text, oci_version, recursive_read_only, user_namespaces) in cases {
            let expected = Features {
                oci_version: oci_version.to_owned(),
                recursive_read_only,
                user_namespaces,
                checkpoint: text.contains("checkpoint"),
            };
            assert_eq!(Features::from_document(text.as_bytes()), Some(expected), "{text}");
        }
        assert_eq!(Features::from_document(b"unknown command features"), None);
    }

    #[test]
    fn versions_are_read() {
        let cases = [
            ("crun version 1.8.1\ncommit: f8a0\nspec: 1.0.0\n", true, true),
            ("crun version 1.21\nspec: 1.0.0\n+SYSTEMD +SELINUX +CAP +SECCOMP +EBPF +CRIU +YAJL\n", true, true),
            ("crun version 1.21\nspec: 1.0.0\n+SYSTEMD +SELINUX +CAP -CRIU +YAJL\n", true, true),
            ("crun version 1.4\n", true, true),
            ("crun version 0.20\n", false, true),
            ("runc version 1.0.3\nspec: 1.0.2-dev\n", false, true),
            ("other version 3.1\n", false, false),
            ("", false, false),
        ];
        for (text, recursive_read_only, user_namespaces) in cases {
            let checkpoint = text.contains("+CRIU");
            let expected = Features { recursive_read_only, user_namespaces, checkpoint, ..Features::default() };
            assert_eq!(Features::from_version(text), expected, "{text}");
        }
    }
}
