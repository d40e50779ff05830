//! What a name without a registry may stand for.
//!
//! An alias decides alone. Without one the search registries do, and when there are several, `enforcing` refuses: a
//! daemon has nobody to ask, and trying registries in turn lets whoever registers a name first at any of them
//! substitute an image.

use super::Registries;
use crate::reference::{DEFAULT_REGISTRY, Reference, ReferenceError, is_short, split, strip_transport};

/// How short names without an alias are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShortNameMode {
    /// Only one search registry may be in question.
    Enforcing,
    /// As enforcing where there is somebody to ask; a daemon tries the search registries in turn.
    #[default]
    Permissive,
    /// The search registries are tried in turn.
    Disabled,
}

impl std::str::FromStr for ShortNameMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "enforcing" => Ok(Self::Enforcing),
            "permissive" => Ok(Self::Permissive),
            "disabled" => Ok(Self::Disabled),
            _ => Err(format!("short-name-mode is enforcing, permissive or disabled, not {text:?}")),
        }
    }
}

/// A name that leads to no registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShortNameError {
    /// It is no name at all.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// Nothing says where short names come from.
    #[error("short name {0:?} has no alias, and no unqualified-search registries are configured")]
    NoRegistry(String),
    /// Several registries may have it, and the mode is enforcing.
    #[error("short name {name:?} is ambiguous in enforcing mode: it may come from {}", .candidates.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// Where it may come from.
        candidates: Vec<String>,
    },
}

impl Registries {
    /// The full references to try for `text`, in order. A full name stands for itself.
    ///
    /// # Errors
    /// See [`ShortNameError`].
    pub fn candidates(&self, text: &str) -> Result<Vec<Reference>, ShortNameError> {
        if !is_short(text) {
            return Ok(vec![Reference::parse(text)?]);
        }
        if let Some(reference) = self.alias(text)? {
            return Ok(vec![reference]);
        }
        let candidates = self.searched(text)?;
        if candidates.is_empty() {
            return Err(ShortNameError::NoRegistry(text.to_owned()));
        }
        if self.short_name_mode == ShortNameMode::Enforcing && candidates.len() > 1 {
            return Err(ShortNameError::Ambiguous {
                name: text.to_owned(),
                candidates: candidates.iter().map(ToString::to_string).collect(),
            });
        }
        Ok(candidates)
    }

    /// The names a local image may carry when it is asked for as `text`: every search registry whatever the mode,
    /// `localhost` where locally built images live, and Docker Hub. Nothing for a text that is no name.
    #[must_use]
    pub fn local_candidates(&self, text: &str) -> Vec<Reference> {
        if !is_short(text) {
            return Reference::parse(text).into_iter().collect();
        }
        let mut candidates = Vec::new();
        candidates.extend(in_registry("localhost", text));
        candidates.extend(self.alias(text).ok().flatten());
        candidates.extend(self.searched(text).unwrap_or_default());
        candidates.extend(in_registry(DEFAULT_REGISTRY, text));
        candidates
    }

    fn alias(&self, text: &str) -> Result<Option<Reference>, ReferenceError> {
        let text = strip_transport(text);
        let Ok(parts) = split(text) else { return Ok(None) };
        match self.aliases.get(parts.name) {
            Some(name) => Reference::parse(&format!("{name}{}", &text[parts.name.len()..])).map(Some),
            None => Ok(None),
        }
    }

    fn searched(&self, text: &str) -> Result<Vec<Reference>, ReferenceError> {
        self.search.iter().map(|registry| in_registry(registry, text)).collect()
    }
}

fn in_registry(registry: &str, text: &str) -> Result<Reference, ReferenceError> {
    Reference::parse(&format!("{registry}/{}", strip_transport(text)))
}
