//! The rows of the store's tables, as readers see them.
//!
//! Field names and meanings are containers/storage's. A row here is the part that matters to us; the index keeps the
//! whole object.

mod container;
mod image;
mod layer;

use crio_types::Timestamp;
use serde_json::Value;

use crate::index::Object;

pub use container::ContainerRecord;
pub(crate) use container::container_object;
pub use image::ImageRecord;
pub(crate) use image::{BigData, image_object, merge_big_data};
pub(crate) use layer::layer_object;
pub use layer::{Compression, LayerRecord};

/// A text field; empty when it is missing.
fn text(object: &Object, key: &str) -> String {
    object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A text field that means nothing when it is empty.
fn optional_text(object: &Object, key: &str) -> Option<String> {
    Some(text(object, key)).filter(|text| !text.is_empty())
}

/// A list of texts.
fn texts(object: &Object, key: &str) -> Vec<String> {
    let list = object.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A moment in RFC 3339. Go's zero time, and nonsense, are [`Timestamp::NEVER`].
fn moment(object: &Object, key: &str) -> Timestamp {
    let parsed: Option<jiff::Timestamp> = object.get(key).and_then(Value::as_str).and_then(|text| text.parse().ok());
    let nanoseconds = parsed.map_or(0, jiff::Timestamp::as_nanosecond);
    Timestamp(i64::try_from(nanoseconds).unwrap_or(0).max(0))
}

/// The text of a moment.
fn moment_text(moment: Timestamp) -> Value {
    let moment = jiff::Timestamp::from_nanosecond(moment.0.into()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Value::String(moment.to_string())
}
