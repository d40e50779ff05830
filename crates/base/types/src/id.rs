//! Identifiers: 64 lower-case hexadecimal digits each, and one type for each thing they name.
//!
//! Request strings are *looked up*, never parsed into an id: a caller may send a prefix or nonsense, and both are
//! ordinary misses. Parsing is for what we wrote ourselves (records, directories).

use serde::{Deserialize, Serialize};

/// A string that should have been an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id: 64 lower-case hexadecimal digits are expected")]
pub struct IdError(pub String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The id made of these 32 bytes, which the caller took from the kernel's random source or from a digest.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(hex::encode(bytes).into_boxed_str())
            }

            /// The 64 digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first twelve digits, as people write an id.
            #[must_use]
            pub fn short(&self) -> &str {
                &self.0[..12]
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_id(text) { Ok(Self(text.into())) } else { Err(IdError(text.to_owned())) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A pod sandbox.
    SandboxId
);
id!(
    /// A container.
    ContainerId
);
id!(
    /// An image: the hex digits of its configuration's sha256 digest.
    ImageId
);
id!(
    /// A storage layer. Layers of pulled images are named after their chain of diff digests.
    LayerId
);

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_exactly_sixty_four_lower_case_digits() {
        let cases = [
            ("a".repeat(64), true),
            ("0123456789abcdef".repeat(4), true),
            ("A".repeat(64), false),
            ("a".repeat(63), false),
            ("a".repeat(65), false),
            (format!("{}/", "a".repeat(63)), false),
            (String::new(), false),
        ];
        for (text, accepted) in cases {
            assert_eq!(text.parse::<SandboxId>().is_ok(), accepted, "{text:?}");
        }
    }

    #[test]
    fn a_record_with_a_bad_id_is_refused() {
        assert!(serde_json::from_str::<ContainerId>("\"../etc\"").is_err());
    }
}
