//! auth.json and .dockercfg: which credentials belong to a repository.
//!
//! Oracle: without `auths`, in either format, there are no credentials; helpers have names.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod reference {
    pub(crate) use crio_image::{DEFAULT_REGISTRY, Reference};
}
#[path = "../../crates/engine/image/src/auth"]
#[expect(dead_code, reason = "a target uses a part of what it includes")]
mod auth {
    pub(crate) use crio_image::AuthError;
    mod file;

    pub(crate) fn check(bytes: &[u8]) {
        let Ok(file) = file::AuthFile::parse(bytes) else { return };
        assert!(file.helper_for("quay.io").is_none_or(|name| !name.is_empty()));
        assert!(file.default_helper().is_none_or(|name| !name.is_empty()));
        for name in ["busybox", "quay.io/a/b/c:1", "localhost:5000/x"] {
            let reference = crate::reference::Reference::parse(name).expect("a fixed name is a reference");
            let found = file.entry_for(&reference, "auth.json".as_ref());
            let is_bare = bytes.iter().all(u8::is_ascii_whitespace);
            assert!(!is_bare || matches!(found, Ok(None)), "credentials out of nothing");
        }
        let _credentials = std::str::from_utf8(bytes).ok().and_then(file::decode_basic);
    }
}

fuzz_target!(|bytes: &[u8]| auth::check(bytes));
