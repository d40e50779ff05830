//! crio.conf and its drop-ins, separated by NUL bytes.
//!
//! Oracle: a document with a problem is never applied in part, and an accepted configuration survives being printed, in both
//! of its printed forms.
#![no_main]

use crio_config::{Config, load_documents, parse_file, template};
use libfuzzer_sys::fuzz_target;

fn load(text: &str) -> Config {
    let document = parse_file("printed.conf".as_ref(), text);
    let (config, _) = load_documents(vec![document]).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    config
}

fuzz_target!(|text: &str| {
    let documents: Vec<_> = text.split('\0').map(|text| parse_file("fuzz.conf".as_ref(), text)).collect();
    let has_problems = documents.iter().any(|document| !document.problems.is_empty());
    let Ok((config, _)) = load_documents(documents) else { return };
    assert!(!has_problems, "a document with a problem was applied");
    assert_eq!(load(&template(&config)), config, "the template");
    assert_eq!(load(&config.to_toml()), config, "the TOML");
});
