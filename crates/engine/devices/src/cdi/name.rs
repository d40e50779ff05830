//! Qualified names, `vendor.com/class=device`, and the annotations that carried them before CRI had a field.

use std::fmt;

use crio_types::Labels;

/// Annotations that name devices begin with this.
const ANNOTATION_PREFIX: &str = "cdi.k8s.io/";

/// The name of one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QualifiedName {
    kind: String,
    device: String,
}

/// Why a text is not a qualified device name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no `=`, or no `/` before it.
    #[error("it is not of the form vendor/class=device")]
    Form,
    /// The vendor has characters that no vendor has.
    #[error("the vendor is not a letter followed by letters, digits, \"_\", \"-\", \".\"")]
    Vendor,
    /// Likewise the class.
    #[error("the class is not a letter followed by letters, digits, \"_\", \"-\"")]
    Class,
    /// Likewise the device.
    #[error("the device is not made of letters, digits, \"_\", \"-\", \".\", \":\"")]
    Device,
}

impl QualifiedName {
    /// Reads `vendor.com/class=device`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (kind, device) = text.split_once('=').ok_or(NameError::Form)?;
        check_kind(kind)?;
        check_device(device)?;
        Ok(Self { kind: kind.to_owned(), device: device.to_owned() })
    }

    /// Vendor and class.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The device's name among those of its kind.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.kind, self.device)
    }
}

/// The devices that annotations name, each `cdi.k8s.io/…` a list separated by commas.
#[must_use]
pub fn annotated(annotations: &Labels) -> Vec<String> {
    let lists = annotations.iter().filter(|(key, _)| key.starts_with(ANNOTATION_PREFIX));
    lists.flat_map(|(_, list)| list.split(',')).map(|name| name.trim().to_owned()).collect()
}

/// `vendor/class`.
pub(super) fn check_kind(kind: &str) -> Result<(), NameError> {
    let (vendor, class) = kind.split_once('/').ok_or(NameError::Form)?;
    if !is_word(vendor, "_-.") || !vendor.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Err(NameError::Vendor);
    }
    if !is_word(class, "_-") || !class.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Err(NameError::Class);
    }
    Ok(())
}

pub(super) fn check_device(device: &str) -> Result<(), NameError> {
    if is_word(device, "_-.:") { Ok(()) } else { Err(NameError::Device) }
}

/// Letters, digits and `punctuation`, beginning and ending with a letter or digit.
fn is_word(text: &str, punctuation: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(is_plain)
        && text.ends_with(is_plain)
        && text.chars().all(|c| is_plain(c) || punctuation.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_three_parts() {
        use NameError::{Class, Device, Form, Vendor};
        let cases = [
            ("vendor.com/gpu=0", None),
            ("nvidia.com/gpu=GPU-8a:1.2", None),
            ("v/c=d", None),
            ("vendor.com/gpu", Some(Form)),
            ("vendor.com=0", Some(Form)),
            ("", Some(Form)),
            ("1vendor/gpu=0", Some(Vendor)),
            ("/gpu=0", Some(Vendor)),
            ("ven dor/gpu=0", Some(Vendor)),
            ("vendor./gpu=0", Some(Vendor)),
            ("vendor/=0", Some(Class)),
            ("vendor/g.pu=0", Some(Class)),
            ("vendor/a/b=0", Some(Class)),
            ("vendor/gpu=", Some(Device)),
            ("vendor/gpu=a=b", Some(Device)),
            ("vendor/gpu=../x", Some(Device)),
            ("vendor/gpu=-a", Some(Device)),
        ];
        for (text, expected) in cases {
            assert_eq!(QualifiedName::parse(text).err(), expected, "{text:?}");
        }
        let name = QualifiedName::parse("vendor.com/gpu=0").expect("valid");
        assert_eq!(
            (name.kind(), name.device(), name.to_string().as_str()),
            ("vendor.com/gpu", "0", "vendor.com/gpu=0")
        );
    }

    #[test]
    fn annotations_list_names() {
        let annotations: Labels = [
            ("cdi.k8s.io/plugin_a".to_owned(), "v.com/c=1, v.com/c=2".to_owned()),
            ("cdi.k8s.io/plugin_b".to_owned(), "v.com/c=3".to_owned()),
            ("other/cdi.k8s.io".to_owned(), "v.com/c=4".to_owned()),
        ]
        .into();
        assert_eq!(annotated(&annotations), ["v.com/c=1", "v.com/c=2", "v.com/c=3"]);
    }
}
