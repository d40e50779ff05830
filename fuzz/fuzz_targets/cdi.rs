//! Specifications of the Container Device Interface, in both languages, and the names of devices.
//!
//! Oracle: what is read as JSON and as YAML is the same, and a name is what it is made of.
#![no_main]

use crio_devices::cdi::{Document, QualifiedName};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = QualifiedName::parse(text) {
        assert_eq!(name.to_string(), text);
        assert!(!name.kind().contains('=') && !name.device().contains(['/', '=']));
    }
    let (json, yaml) = (Document::from_json(text), Document::from_yaml(text));
    if let (Ok(json), Ok(yaml)) = (json, yaml) {
        assert_eq!(json, yaml);
    }
});
