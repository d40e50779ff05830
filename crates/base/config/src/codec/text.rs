//! Values that are strings in the file: text, words and paths, and the empty string for *not set*.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use toml::Value;

use super::{Codec, Mismatch, Shape};

pub(super) fn text(value: &Value, expected: impl FnOnce() -> String) -> Result<&str, Mismatch> {
    value.as_str().ok_or_else(|| Mismatch::new(value.to_string(), expected()))
}

/// Any string.
#[derive(Debug)]
pub struct Regular;

impl Codec<String> for Regular {
    const SHAPE: Shape = Shape::Text;

    fn decode(value: &Value) -> Result<String, Mismatch> {
        text(value, Self::expected).map(str::to_owned)
    }

    fn encode(value: &String) -> Option<Value> {
        Some(Value::String(value.clone()))
    }
}

/// What `C` reads, or an empty string for *not set*.
#[derive(Debug)]
pub struct Optional<C>(PhantomData<C>);

impl<T, C: Codec<T>> Codec<Option<T>> for Optional<C> {
    const SHAPE: Shape = C::SHAPE;

    fn expected() -> String {
        format!("{}, or \"\" for none", C::expected())
    }

    fn decode(value: &Value) -> Result<Option<T>, Mismatch> {
        if value.as_str() == Some("") {
            return Ok(None);
        }
        C::decode(value).map(Some).map_err(|mismatch| Mismatch { expected: Self::expected(), ..mismatch })
    }

    fn encode(value: &Option<T>) -> Option<Value> {
        match value {
            Some(value) => C::encode(value),
            None => Some(Value::String(String::new())),
        }
    }
}

/// An enumeration with one word for each value.
pub trait Words: Sized + Copy + PartialEq + 'static {
    /// Every value with its word.
    const ALL: &'static [(Self, &'static str)];

    /// The word.
    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(value, _)| *value == self).map_or("", |(_, word)| word)
    }
}

/// One of the words of an enumeration.
#[derive(Debug)]
pub struct Word;

impl<T: Words> Codec<T> for Word {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        let words: Vec<String> = T::ALL.iter().map(|(_, word)| format!("{word:?}")).collect();
        format!("one of {}", words.join(", "))
    }

    fn decode(value: &Value) -> Result<T, Mismatch> {
        let word = text(value, <Self as Codec<T>>::expected)?;
        T::ALL
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(word))
            .map(|(value, _)| *value)
            .ok_or_else(|| Mismatch::new(value.to_string(), <Self as Codec<T>>::expected()))
    }

    fn encode(value: &T) -> Option<Value> {
        Some(Value::String(value.word().to_owned()))
    }
}

/// Declares an enumeration and its words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$value_meta:meta])* $value:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$value_meta])* $value),+ }

        impl $crate::codec::Words for $name {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$value, $word)),+];
        }

        impl $name {
            /// The word the configuration file uses.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                $crate::codec::Words::word(self)
            }
        }
    };
}
pub(crate) use words;

/// A path, which is taken as it is.
#[derive(Debug)]
pub struct AnyPath;

impl Codec<PathBuf> for AnyPath {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "a path".to_owned()
    }

    fn decode(value: &Value) -> Result<PathBuf, Mismatch> {
        text(value, Self::expected).map(PathBuf::from)
    }

    fn encode(value: &PathBuf) -> Option<Value> {
        Some(Value::String(value.to_string_lossy().into_owned()))
    }
}

/// A path from the root of the file system.
#[derive(Debug)]
pub struct AbsolutePath;

impl Codec<PathBuf> for AbsolutePath {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "an absolute path".to_owned()
    }

    fn decode(value: &Value) -> Result<PathBuf, Mismatch> {
        let path = Path::new(text(value, Self::expected)?);
        if !path.is_absolute() {
            return Err(Mismatch::new(value.to_string(), Self::expected()));
        }
        Ok(path.to_owned())
    }

    fn encode(value: &PathBuf) -> Option<Value> {
        AnyPath::encode(value)
    }
}
