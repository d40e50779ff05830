//! Sysctls of pods: lines of `name=value`.
//!
//! Oracle: what is accepted belongs to a namespace of the pod, and leads neither elsewhere nor onto a second line.
#![no_main]

use crio_network::namespaces::admit;
use crio_types::Labels;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let pairs = text.split(';').filter_map(|line| line.split_once('='));
    let sysctls: Labels = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let Ok(admitted) = admit(&sysctls, true, true) else { return };
    assert!(admitted.skipped.is_empty());
    assert_eq!(admitted.accepted, sysctls);
    for (name, value) in &sysctls {
        let top = name.split(['.', '/']).next().unwrap_or_default();
        assert!(matches!(top, "net" | "kernel" | "fs"), "{name:?}");
        assert!(!name.contains("..") && !value.contains(['\n', '\r', '\0']), "{name:?}={value:?}");
    }
    let on_the_node = admit(&sysctls, false, false).expect("the same names");
    assert!(on_the_node.accepted.is_empty());
    assert_eq!(on_the_node.skipped, sysctls);
});
