//! User strings of requests and images against an image's passwd and group: five texts, separated by NUL bytes.
//!
//! Oracle: ids stay in range, the primary group comes first, and a replaced file is the image's own and one line.
#![no_main]

use std::fs;

use crio_security::user::{MAX_ID, UserRequest, resolve};
use crio_types::ContainerSecurity;
use libfuzzer_sys::fuzz_target;

thread_local!(static ROOT: tempfile::TempDir = tempfile::tempdir().expect("a temporary directory"));

fuzz_target!(|bytes: &[u8]| ROOT.with(|root| {
    let mut parts = bytes.splitn(5, |byte| *byte == 0);
    let [name, image_user, home] = [(); 3].map(|()| String::from_utf8_lossy(parts.next().unwrap_or_default()));
    let files = ["passwd", "group"].map(|file| (root.path().join("etc").join(file), parts.next().unwrap_or_default()));
    fs::create_dir_all(root.path().join("etc")).expect("a directory");
    for (path, content) in &files {
        fs::write(path, content).expect("a file of the image");
    }
    let security = ContainerSecurity { run_as_username: name.into_owned(), ..Default::default() };
    let request = UserRequest { security: &security, image_user: &image_user, home: &home };
    let Ok(user) = resolve(root.path(), &request) else { return };
    assert!(user.uid <= MAX_ID && user.groups.iter().all(|gid| *gid <= MAX_ID));
    assert_eq!(user.groups.first(), Some(&user.gid));
    for (made, (path, content)) in [&user.passwd, &user.group].into_iter().zip(&files) {
        let Some(made) = made else { continue };
        let added = made.content.strip_prefix(*content).expect("the image's own lines come first");
        let added = if content.ends_with(b"\n") { added } else { added.strip_prefix(b"\n").expect("an end of line") };
        assert_eq!(added.iter().position(|byte| *byte == b'\n'), added.len().checked_sub(1), "one line is added");
        fs::write(path, &made.content).expect("the replacement");
    }
    let again = resolve(root.path(), &request).expect("the replacement knows the same user");
    // The name in the added line can be a member of groups, which only a further look-up finds.
    assert_eq!((again.uid, again.gid), (user.uid, user.gid));
    assert!(again.groups.starts_with(&user.groups), "{:?} became {:?}", user.groups, again.groups);
    assert!(again.passwd.is_none() && again.group.is_none(), "the replacement is complete");
}));
