//! Lists and tables of strings.
//!
//! Empty strings in a list are dropped: sample configurations write `[""]` for an empty list, and CRI-O takes it so.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use toml::Value;

use super::{Codec, Mismatch, Shape};

/// A list whose elements `C` reads.
#[derive(Debug)]
pub struct List<C>(PhantomData<C>);

impl<T, C: Codec<T>> Codec<Vec<T>> for List<C> {
    const SHAPE: Shape = Shape::List;

    fn expected() -> String {
        format!("a list; each element is {}", C::expected())
    }

    fn decode(value: &Value) -> Result<Vec<T>, Mismatch> {
        let Value::Array(elements) = value else {
            return Err(Mismatch::new(value.to_string(), Self::expected()));
        };
        elements.iter().filter(|element| element.as_str() != Some("")).map(C::decode).collect()
    }

    fn encode(value: &Vec<T>) -> Option<Value> {
        Some(Value::Array(value.iter().filter_map(C::encode).collect()))
    }
}

/// A table of strings, in key order.
#[derive(Debug)]
pub struct StringMap;

impl Codec<BTreeMap<String, String>> for StringMap {
    const SHAPE: Shape = Shape::Map;

    fn decode(value: &Value) -> Result<BTreeMap<String, String>, Mismatch> {
        let Value::Table(entries) = value else {
            return Err(Mismatch::new(value.to_string(), Self::expected()));
        };
        entries
            .iter()
            .map(|(key, value)| match value {
                Value::String(text) => Ok((key.clone(), text.clone())),
                other => Err(Mismatch::new(format!("{key} = {other}"), Self::expected())),
            })
            .collect()
    }

    fn encode(value: &BTreeMap<String, String>) -> Option<Value> {
        let entries = value.iter().map(|(key, text)| (key.clone(), Value::String(text.clone()))).collect();
        Some(Value::Table(entries))
    }
}
