//! A mapping of the manifest that is read key by key and knows its path.
//!
//! Every reader takes its key away, so [`Fields::finish`] sees what nobody understood. `null` is as good as absent, as in Kubernetes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What is wrong with a manifest, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ManifestError {
    /// Path of the field, such as `spec.containers[0].image`.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

impl ManifestError {
    /// `problem` at `path`.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

/// The longest name Kubernetes allows for a pod.
const MAX_NAME_CHARS: usize = 253;

/// A mapping, and where it is.
#[derive(Debug)]
pub struct Fields {
    path: String,
    values: Map<String, Value>,
}

impl Fields {
    /// The mapping `value` at `path`.
    pub fn of(path: &str, value: Value) -> Result<Self, ManifestError> {
        match value {
            Value::Object(values) => Ok(Self { path: path.to_owned(), values }),
            _ => Err(wrong(if path.is_empty() { "the manifest" } else { path }, "a mapping")),
        }
    }

    /// The path of `key`.
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.values.remove(key).filter(|value| !value.is_null())
    }

    fn missing(&self, key: &str) -> ManifestError {
        ManifestError::new(self.path(key), "is missing")
    }

    /// A mapping.
    pub fn object(&mut self, key: &str) -> Result<Option<Self>, ManifestError> {
        let path = self.path(key);
        self.take(key).map(|value| Self::of(&path, value)).transpose()
    }

    /// A mapping that has to be there.
    pub fn required(&mut self, key: &str) -> Result<Self, ManifestError> {
        self.object(key)?.ok_or_else(|| self.missing(key))
    }

    /// A list, each element with its path.
    fn list(&mut self, key: &str) -> Result<Vec<(String, Value)>, ManifestError> {
        let path = self.path(key);
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(elements)) => {
                let numbered = elements.into_iter().enumerate();
                Ok(numbered.map(|(at, element)| (format!("{path}[{at}]"), element)).collect())
            }
            Some(_) => Err(wrong(path, "a list")),
        }
    }

    /// A list of mappings.
    pub fn objects(&mut self, key: &str) -> Result<Vec<Self>, ManifestError> {
        let elements = self.list(key)?;
        elements.into_iter().map(|(path, value)| Self::of(&path, value)).collect()
    }

    /// A list of strings.
    pub fn texts(&mut self, key: &str) -> Result<Vec<String>, ManifestError> {
        self.list(key)?.into_iter().map(|(path, value)| text(&path, value)).collect()
    }

    /// A list of integers.
    pub fn integers(&mut self, key: &str) -> Result<Vec<i64>, ManifestError> {
        let integer = |(path, value): (String, Value)| value.as_i64().ok_or_else(|| wrong(path, "an integer"));
        self.list(key)?.into_iter().map(integer).collect()
    }

    /// A mapping of strings.
    pub fn text_map(&mut self, key: &str) -> Result<BTreeMap<String, String>, ManifestError> {
        let Some(fields) = self.object(key)? else {
            return Ok(BTreeMap::new());
        };
        let path = fields.path;
        let entry = |(key, value): (String, Value)| Ok((key.clone(), text(&format!("{path}.{key}"), value)?));
        fields.values.into_iter().map(entry).collect()
    }

    /// A string.
    pub fn text(&mut self, key: &str) -> Result<Option<String>, ManifestError> {
        let path = self.path(key);
        self.take(key).map(|value| text(&path, value)).transpose()
    }

    /// A string that has to be there and not be empty.
    pub fn required_text(&mut self, key: &str) -> Result<String, ManifestError> {
        self.text(key)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(key))
    }

    /// A name as Kubernetes allows: lower-case letters, digits, `-` and `.`. Names become parts of paths.
    pub fn name(&mut self, key: &str) -> Result<Option<String>, ManifestError> {
        let path = self.path(key);
        let Some(name) = self.text(key)? else {
            return Ok(None);
        };
        let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let shape = name.starts_with(alphanumeric)
            && name.ends_with(alphanumeric)
            && name.chars().all(|c| alphanumeric(c) || c == '-' || c == '.')
            && !name.contains("..")
            && name.len() <= MAX_NAME_CHARS;
        if shape { Ok(Some(name)) } else { Err(wrong(path, "a name of lower-case letters, digits, - and .")) }
    }

    /// A name that has to be there.
    pub fn required_name(&mut self, key: &str) -> Result<String, ManifestError> {
        self.name(key)?.ok_or_else(|| self.missing(key))
    }

    /// `true` or `false`.
    pub fn truth(&mut self, key: &str) -> Result<Option<bool>, ManifestError> {
        let path = self.path(key);
        self.take(key).map(|value| value.as_bool().ok_or_else(|| wrong(path, "true or false"))).transpose()
    }

    /// An integer.
    pub fn integer(&mut self, key: &str) -> Result<Option<i64>, ManifestError> {
        let path = self.path(key);
        self.take(key).map(|value| value.as_i64().ok_or_else(|| wrong(path, "an integer"))).transpose()
    }

    /// A port number from 1.
    pub fn port(&mut self, key: &str) -> Result<Option<u16>, ManifestError> {
        let path = self.path(key);
        let in_range = |number| u16::try_from(number).ok().filter(|port| *port > 0);
        self.integer(key)?
            .map(|number| in_range(number).ok_or_else(|| wrong(path, "a port from 1 to 65535")))
            .transpose()
    }

    /// A scalar as text, be it a string or a number, as quantities are written.
    pub fn scalar(&mut self, key: &str) -> Result<Option<String>, ManifestError> {
        let path = self.path(key);
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(wrong(path, "a string or a number")),
        }
    }

    /// One of the words `choices`.
    pub fn word<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Result<Option<T>, ManifestError> {
        let path = self.path(key);
        let Some(word) = self.text(key)? else {
            return Ok(None);
        };
        match choices.iter().find(|(known, _)| *known == word) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let words: Vec<String> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
                Err(ManifestError::new(path, format!("is {word:?}; it can be {}", words.join(", "))))
            }
        }
    }

    /// Ends the reading: what is left, other than the keys of `ignored`, is not supported.
    pub fn finish(self, ignored: &[&str]) -> Result<(), ManifestError> {
        let known = |key: &str, value: &Value| value.is_null() || ignored.contains(&key);
        match self.values.iter().find(|(key, value)| !known(key, value)) {
            Some((key, _)) => Err(ManifestError::new(self.path(key), "is not supported")),
            None => Ok(()),
        }
    }
}

fn wrong(path: impl Into<String>, expected: &str) -> ManifestError {
    ManifestError::new(path, format!("has to be {expected}"))
}

fn text(path: &str, value: Value) -> Result<String, ManifestError> {
    match value {
        Value::String(text) if !text.contains('\0') => Ok(text),
        _ => Err(wrong(path, "a string; quote it")),
    }
}
