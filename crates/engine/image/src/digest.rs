//! A content digest: sha256 and nothing else.
//!
//! The OCI image specification registers other algorithms, but the store names images and layers by the sha256 digits
//! of their content, so another algorithm could not be stored. Parsing is strict (lower case, 64 digits): a digest
//! becomes part of URLs and, as digits, of paths.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A sha256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// A string that is not a digest we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a digest of the form sha256:<64 lower-case hexadecimal digits>")]
pub struct DigestError(pub String);

impl Digest {
    /// The digest of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// The digest a hasher arrived at.
    #[must_use]
    pub fn from_hasher(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// The 64 digits, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl std::str::FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        // Error texts end up in logs and events, so a hostile string is cut.
        let refused = || DigestError(text.chars().take(96).collect());
        let digits = text.strip_prefix("sha256:").ok_or_else(refused)?;
        if digits.len() != 64 || digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(refused());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| refused())?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_spelling_is_a_digest() {
        let digits = "0123456789abcdef".repeat(4);
        let cases = [
            (format!("sha256:{digits}"), true),
            (format!("sha256:{}", digits.to_uppercase()), false),
            (format!("SHA256:{digits}"), false),
            (format!("sha512:{digits}{digits}"), false),
            (format!("sha256:{}", &digits[1..]), false),
            (format!("sha256:{digits}0"), false),
            (format!("sha256:{}/", &digits[1..]), false),
            (format!("sha256:{}é", &digits[2..]), false),
            (digits.clone(), false),
            ("sha256:".to_owned(), false),
            ("sha256:../../../../etc/passwd".to_owned(), false),
            (String::new(), false),
        ];
        for (text, accepted) in cases {
            let parsed = text.parse::<Digest>();
            assert_eq!(parsed.is_ok(), accepted, "{text:?}");
            if let Ok(digest) = parsed {
                assert_eq!(digest.to_string(), text);
            }
        }
    }

    #[test]
    fn hashes_content() {
        assert_eq!(
            Digest::of(b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
