//! How a configuration value is read from TOML and from text, and how it is written back.
//!
//! A codec is a type without values; the option table names one for each option. It turns a TOML value into the Rust
//! type the engines want, or says what it found and what it would have taken. Environment variables and flags become
//! the TOML value a careful author would have written ([`value_from_text`]) and then take the same way, so that there is
//! one parser for an option wherever it comes from. `encode(decode(x))` writes `x` in its canonical form.

mod collection;
mod number;
mod rule;
mod text;

pub use collection::{List, StringMap};
pub use number::{ByteSize, GoDuration, MessageSize, Number, PositiveOr, Seconds};
pub(crate) use rule::COLLECTORS;
pub use rule::{
    Assigned, CapabilityName, CollectorName, CpuList, DeviceRule, IdMappings, PodMetrics, PortText, StorageOption,
    Sysctl, UlimitRule,
};
pub(crate) use text::words;
pub use text::{AbsolutePath, AnyPath, Optional, Regular, Word, Words};

use toml::Value;

/// The shape of a value in the file, which also decides how a flag takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `key = true`; the flag may stand alone.
    Switch,
    /// `key = 7`.
    Integer,
    /// `key = "text"`.
    Text,
    /// `key = ["a", "b"]`; the flag may be repeated and splits at commas.
    List,
    /// `key = { a = "b" }`; there is no flag.
    Map,
}

impl Shape {
    /// The word for manuals and messages.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Switch => "true or false",
            Self::Integer => "an integer",
            Self::Text => "a string",
            Self::List => "a list of strings",
            Self::Map => "a table of strings",
        }
    }
}

/// A value that an option cannot take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What was found, as its author would recognise it.
    pub found: String,
    /// What the option takes.
    pub expected: String,
}

impl Mismatch {
    /// `found` where `expected` was wanted.
    pub fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { found: found.into(), expected: expected.into() }
    }
}

/// Reads and writes one kind of value.
pub trait Codec<T> {
    /// The shape in the file.
    const SHAPE: Shape;

    /// What is taken, for messages and manuals: "a Go duration such as \"90s\"".
    fn expected() -> String {
        Self::SHAPE.noun().to_owned()
    }

    /// The typed value.
    ///
    /// # Errors
    /// [`Mismatch`] when the value has another shape or is out of range.
    fn decode(value: &Value) -> Result<T, Mismatch>;

    /// The canonical TOML value; `None` when the value is *not set* and the file can only say so by silence.
    fn encode(value: &T) -> Option<Value>;
}

/// `true` or `false`.
#[derive(Debug)]
pub struct Switch;

impl Codec<bool> for Switch {
    const SHAPE: Shape = Shape::Switch;

    fn decode(value: &Value) -> Result<bool, Mismatch> {
        value.as_bool().ok_or_else(|| Mismatch::new(value.to_string(), Shape::Switch.noun()))
    }

    fn encode(value: &bool) -> Option<Value> {
        Some(Value::Boolean(*value))
    }
}

/// A switch that the host decides when nobody sets it.
#[derive(Debug)]
pub struct Detected;

impl Codec<Option<bool>> for Detected {
    const SHAPE: Shape = Shape::Switch;

    fn decode(value: &Value) -> Result<Option<bool>, Mismatch> {
        Switch::decode(value).map(Some)
    }

    fn encode(value: &Option<bool>) -> Option<Value> {
        value.map(Value::Boolean)
    }
}

/// The TOML value that `texts` (the occurrences of a flag, or one environment variable) stand for.
///
/// # Errors
/// [`Mismatch`] when a switch or an integer does not read as one.
pub fn value_from_text(shape: Shape, texts: &[String]) -> Result<Value, Mismatch> {
    let last = texts.last().map_or("", String::as_str);
    match shape {
        Shape::Switch => match last {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Boolean(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Boolean(false)),
            _ => Err(Mismatch::new(format!("{last:?}"), shape.noun())),
        },
        Shape::Integer => match last.trim().parse() {
            Ok(number) => Ok(Value::Integer(number)),
            Err(_) => Err(Mismatch::new(format!("{last:?}"), shape.noun())),
        },
        Shape::Text | Shape::Map => Ok(Value::String(last.to_owned())),
        Shape::List => Ok(Value::Array(
            texts.iter().flat_map(|text| text.split(',')).map(|part| Value::String(part.trim().to_owned())).collect(),
        )),
    }
}

#[cfg(test)]
mod tests;
