//! Seccomp profiles in files, as administrators and pods bring them.
//!
//! Oracle: the filter of a profile is itself a profile, without conditions, and filters the same.
#![no_main]

use crio_security::CapabilitySet;
use crio_security::seccomp::Profile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(profile) = Profile::parse(bytes) else { return };
    for capabilities in [CapabilitySet::EMPTY, CapabilitySet::ALL] {
        for kernel in [(4, 4), (6, 18)] {
            let filter = profile.filter(capabilities, kernel);
            let text = serde_json::to_vec(&filter).expect("a filter serialises");
            let again = Profile::parse(&text).unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(again.filter(capabilities, kernel), filter);
        }
    }
});
