//! Files that belong to one namespace: its signature policy, and credentials left for one pull.
//!
//! A credential provider writes `<namespace>-<sha256 of the image name>.json` before it lets kubelet ask for the
//! image. The pull claims the file by moving it to `in-use/`, so that it serves one pull, and deletes it afterwards.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use crio_image::Digest;

use crate::{Config, PullRequest};

const IN_USE: &str = "in-use";

/// An authentication file claimed for one pull. Dropping it deletes the file.
#[derive(Debug)]
pub(crate) struct ClaimedAuth(PathBuf);

impl ClaimedAuth {
    /// Claims the file left for this pull, if there is one.
    pub(crate) fn claim(config: &Config, request: &PullRequest) -> Result<Option<Self>> {
        let Some(directory) = &config.namespaced_auth else {
            return Ok(None);
        };
        if !is_namespace(&request.namespace) {
            return Ok(None);
        }
        let image = Digest::of(request.spec.image.as_bytes()).hex();
        let source = directory.join(format!("{}-{image}.json", request.namespace));
        if !source.try_exists()? {
            return Ok(None);
        }
        let in_use = directory.join(IN_USE);
        std::fs::create_dir_all(&in_use)?;
        let tag = u64::from_be_bytes(crio_sys::random::bytes32()?[..8].try_into().map_err(Error::other)?);
        let target = in_use.join(format!("{}-{image}-{tag:016x}.json", request.namespace));
        match std::fs::rename(&source, &target) {
            Ok(()) => Ok(Some(Self(target))),
            // Another pull was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ClaimedAuth {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a claimed authentication file stays behind");
        }
    }
}

/// The policy file of a namespace, if there is one.
pub(crate) fn policy_file(config: &Config, namespace: &str) -> Option<PathBuf> {
    let directory = config.namespaced_policies.as_ref()?;
    let path = is_namespace(namespace).then(|| directory.join(format!("{namespace}.json")))?;
    path.exists().then_some(path)
}

/// A Kubernetes namespace, which is a DNS label; anything else never becomes part of a path.
fn is_namespace(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dns_labels_become_paths() {
        for (text, accepted) in [
            ("default", true),
            ("kube-system", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("A", false),
            ("a.b", false),
        ] {
            assert_eq!(is_namespace(text), accepted, "{text:?}");
        }
    }
}
