//! The signature policy: containers-policy.json(5).
//!
//! Decides whether a reference may be used at all. `insecureAcceptAnything` and `reject` are decided here. A
//! requirement that needs a signature to be verified is refused, because no verifier is built in: a policy that asks
//! for signatures never lets an image through unverified.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crio_types::{Classified, ErrorKind};
use serde::Deserialize;

use crate::reference::Reference;

const MAX_FILE_BYTES: u64 = 4 << 20;
const TRANSPORT: &str = "docker";

/// What the policy says about an image that is not let through. Kubelet recognises the prefix.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The policy cannot be read, which must not mean that everything is allowed.
    #[error("SignatureValidationFailed: reading the signature policy {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The policy is not JSON of the expected shape.
    #[error("SignatureValidationFailed: the signature policy {} is malformed", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The policy rejects it.
    #[error("SignatureValidationFailed: the signature policy rejects {reference}")]
    Rejected {
        /// The image.
        reference: String,
    },
    /// The policy wants a signature of a kind that cannot be verified.
    #[error(
        "SignatureValidationFailed: the signature policy asks for {requirement} of {reference}, which is not supported"
    )]
    Unsupported {
        /// The image.
        reference: String,
        /// The requirement's type.
        requirement: String,
    },
    /// A scope has no requirement at all, which is neither yes nor no.
    #[error("SignatureValidationFailed: the signature policy has an empty list of requirements for {reference}")]
    Empty {
        /// The image.
        reference: String,
    },
}

impl Classified for PolicyError {
    /// Kubelet looks at the prefix under this kind only.
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unknown
    }
}

/// A parsed policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Policy {
    default: Vec<Requirement>,
    #[serde(default)]
    transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Requirement {
    #[serde(rename = "type")]
    kind: String,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// The file cannot be read or parsed; also when it does not exist.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes))
            .map_err(|source| PolicyError::Read { path: path.to_owned(), source })?;
        serde_json::from_slice(&bytes).map_err(|source| PolicyError::Malformed { path: path.to_owned(), source })
    }

    /// Whether the policy lets `reference` through.
    ///
    /// # Errors
    /// It does not.
    pub fn check(&self, reference: &Reference) -> Result<(), PolicyError> {
        let requirements = self.requirements(reference);
        let name = || reference.to_string();
        if requirements.is_empty() {
            return Err(PolicyError::Empty { reference: name() });
        }
        for requirement in requirements {
            match requirement.kind.as_str() {
                "insecureAcceptAnything" => {}
                "reject" => return Err(PolicyError::Rejected { reference: name() }),
                other => {
                    return Err(PolicyError::Unsupported {
                        reference: name(),
                        requirement: other.chars().take(64).collect(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The requirements of the most specific scope: the reference, its repository, each path above it, the registry,
    /// wildcards of the registry's domain, the transport, the default.
    fn requirements(&self, reference: &Reference) -> &[Requirement] {
        let Some(scopes) = self.transports.get(TRANSPORT) else {
            return &self.default;
        };
        scopes_of(reference).iter().find_map(|scope| scopes.get(scope)).unwrap_or(&self.default)
    }
}

fn scopes_of(reference: &Reference) -> Vec<String> {
    let repository = reference.repository();
    let mut scopes = vec![reference.pinned_down().to_string(), repository.clone()];
    let mut rest = repository.as_str();
    while let Some((parent, _)) = rest.rsplit_once('/') {
        scopes.push(parent.to_owned());
        rest = parent;
    }
    let mut domain = reference.domain();
    while let Some((_, parent)) = domain.split_once('.') {
        scopes.push(format!("*.{parent}"));
        domain = parent;
    }
    scopes.push(String::new());
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{
        "default": [{"type": "reject"}],
        "transports": {
            "docker": {
                "docker.io": [{"type": "insecureAcceptAnything"}],
                "docker.io/library/secret": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}],
                "docker.io/library/secret:open": [{"type": "insecureAcceptAnything"}],
                "*.example.com": [{"type": "insecureAcceptAnything"}],
                "bad.example.com": [{"type": "reject"}],
                "both.io": [{"type": "insecureAcceptAnything"}, {"type": "reject"}],
                "none.io": []
            },
            "docker-daemon": {"": [{"type": "insecureAcceptAnything"}]}
        }
    }"#;

    #[test]
    fn the_most_specific_scope_decides() {
        let policy: Policy = serde_json::from_str(POLICY).unwrap();
        for (name, allowed) in [
            ("busybox", true),
            ("docker.io/user/x:1", true),
            ("secret", false),
            ("secret:1", false),
            ("secret:open", true),
            ("a.example.com/x", true),
            ("a.b.example.com/x", true),
            ("bad.example.com/x", false),
            ("example.com/x", false),
            ("both.io/x", false),
            ("none.io/x", false),
            ("quay.io/x", false),
        ] {
            let verdict = policy.check(&Reference::parse(name).unwrap());
            assert_eq!(verdict.is_ok(), allowed, "{name}");
            if let Err(error) = verdict {
                assert!(error.to_string().starts_with("SignatureValidationFailed"), "{error}");
            }
        }
    }

    #[test]
    fn a_policy_that_cannot_be_read_allows_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.json");
        assert!(Policy::load(&path).is_err());
        std::fs::write(&path, "{}").unwrap();
        assert!(Policy::load(&path).is_err());
        std::fs::write(&path, POLICY).unwrap();
        assert!(Policy::load(&path).is_ok());
    }
}
