//! Checks of single fields, and the error they share.

use crio_types::{Classified, ErrorKind, IdMapping};

use crio_cri_api::v1;

/// The largest uid or gid a request may name: what Kubernetes itself validates, 2³¹ − 1.
const MAX_ID: i64 = i32::MAX as i64;

/// A field of a request cannot be what it is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub(crate) struct DecodeError {
    /// The field, as CRI names it, from the top of the request.
    field: String,
    /// What is wrong, and what is allowed.
    reason: String,
}

impl DecodeError {
    pub(crate) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

impl Classified for DecodeError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidArgument
    }
}

/// The message, which must be there.
pub(crate) fn required<T>(field: &str, value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or_else(|| DecodeError::new(field, "is missing"))
}

/// A text that must not be empty and holds no NUL byte.
pub(crate) fn non_empty(field: &str, value: String) -> Result<String, DecodeError> {
    if value.is_empty() {
        return Err(DecodeError::new(field, "is empty"));
    }
    without_nul(field, value)
}

/// A text that will reach the kernel, where a NUL byte would cut it short.
pub(crate) fn without_nul(field: &str, value: String) -> Result<String, DecodeError> {
    if value.contains('\0') {
        return Err(DecodeError::new(field, "holds a NUL byte"));
    }
    Ok(value)
}

/// Texts that will reach the kernel.
pub(crate) fn all_without_nul(field: &str, values: Vec<String>) -> Result<Vec<String>, DecodeError> {
    match values.iter().position(|value| value.contains('\0')) {
        Some(index) => Err(DecodeError::new(format!("{field}[{index}]"), "holds a NUL byte")),
        None => Ok(values),
    }
}

/// A path that must be absolute.
pub(crate) fn absolute_path(field: &str, value: String) -> Result<String, DecodeError> {
    let path = non_empty(field, value)?;
    if path.starts_with('/') {
        Ok(path)
    } else {
        Err(DecodeError::new(field, format!("{path:?} is not an absolute path")))
    }
}

/// A value of an enum that this version of CRI knows.
pub(crate) fn known<E: TryFrom<i32>>(field: &str, value: i32) -> Result<E, DecodeError> {
    E::try_from(value).map_err(|_| DecodeError::new(field, format!("{value} is not a value CRI defines")))
}

/// A number that must lie between two others.
pub(crate) fn between(field: &str, value: i64, low: i64, high: i64) -> Result<i64, DecodeError> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(DecodeError::new(field, format!("{value} is not between {low} and {high}")))
    }
}

/// A uid or gid that may be absent.
pub(crate) fn optional_id(field: &str, value: Option<v1::Int64Value>) -> Result<Option<i64>, DecodeError> {
    value.map(|id| between(field, id.value, 0, MAX_ID)).transpose()
}

/// Group ids.
pub(crate) fn ids(field: &str, values: Vec<i64>) -> Result<Vec<i64>, DecodeError> {
    match values.iter().position(|id| !(0..=MAX_ID).contains(id)) {
        Some(index) => Err(DecodeError::new(
            format!("{field}[{index}]"),
            format!("{} is not between 0 and {MAX_ID}", values[index]),
        )),
        None => Ok(values),
    }
}

/// Id mappings: none empty, none past the last id.
pub(crate) fn id_mappings(field: &str, mappings: &[v1::IdMapping]) -> Result<Vec<IdMapping>, DecodeError> {
    let check = |(index, mapping): (usize, &v1::IdMapping)| {
        let field = || format!("{field}[{index}]");
        if mapping.length == 0 {
            return Err(DecodeError::new(field(), "has the length 0"));
        }
        let last = mapping.length - 1;
        if mapping.host_id.checked_add(last).is_none() || mapping.container_id.checked_add(last).is_none() {
            return Err(DecodeError::new(field(), "goes past the last 32-bit id"));
        }
        Ok(IdMapping { host_id: mapping.host_id, container_id: mapping.container_id, length: mapping.length })
    };
    mappings.iter().enumerate().map(check).collect()
}

/// Id mappings, as we answer them.
pub(crate) fn encode_id_mappings(mappings: &[IdMapping]) -> Vec<v1::IdMapping> {
    let encode = |mapping: &IdMapping| v1::IdMapping {
        host_id: mapping.host_id,
        container_id: mapping.container_id,
        length: mapping.length,
    };
    mappings.iter().map(encode).collect()
}
