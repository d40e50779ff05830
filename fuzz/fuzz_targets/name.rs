//! Short names from outside: signals, capabilities, cgroup parents, ids.
//!
//! Oracle: each has a canonical spelling that parses to itself; a cgroup path never leaves its root.
#![no_main]

use crio_cgroups::CgroupPath;
use crio_security::CapabilitySet;
use crio_types::{ContainerId, Signal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(signal) = Signal::parse(text) {
        assert!((1..=64).contains(&signal.number()));
        // 32 and 33 are the thread library's and have no names.
        assert!(matches!(signal.number(), 32 | 33) || Signal::parse(&signal.name()) == Some(signal), "{signal:?}");
    }
    if let Ok(set) = CapabilitySet::parse(text.split(',')) {
        assert_eq!(CapabilitySet::parse(set.names()), Ok(set));
    }
    if let Ok(path) = CgroupPath::parse(text) {
        assert!(path.as_str().starts_with('/') && path.as_str().split('/').all(|part| part != ".."));
        assert_eq!(CgroupPath::parse(path.as_str()), Ok(path));
    }
    if let Ok(id) = text.parse::<ContainerId>() {
        assert_eq!((id.as_str(), id.short().len()), (text, 12));
    }
});
