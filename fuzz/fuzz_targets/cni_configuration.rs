//! CNI network configurations: single plugins, lists, and what libcni's cache holds.
//!
//! Oracle: network and plugin names are plain file names, and the inline form means the same when it is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/engine/network/src/cni"]
#[expect(dead_code, reason = "a target uses a part of what it includes")]
mod cni {
    pub(crate) mod configuration;
    pub(crate) mod version;
}
use cni::configuration::{NetworkConfiguration, is_plain_name};

fn check(configuration: &NetworkConfiguration) {
    assert!(is_plain_name(&configuration.name) && !configuration.plugins.is_empty());
    assert!(configuration.plugins.iter().all(|plugin| !plugin.program.contains(['/', '\0'])));
    for version in &configuration.versions {
        let again = NetworkConfiguration::parse(&configuration.to_bytes(*version)).expect("our own form");
        assert_eq!((&again.name, &again.versions), (&configuration.name, &vec![*version]));
        let documents = |list: &NetworkConfiguration| -> Vec<_> {
            list.plugins.iter().map(|plugin| (plugin.program.clone(), plugin.document.clone())).collect()
        };
        assert_eq!(documents(&again), documents(configuration));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in ["10-a.conf", "10-a.conflist"] {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("a configuration file");
        NetworkConfiguration::load(&path).iter().for_each(check);
    }
    NetworkConfiguration::parse(bytes).iter().for_each(check);
});
