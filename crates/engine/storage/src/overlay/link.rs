//! The short names of layers, and putting lost ones back.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Characters of a name.
const LENGTH: usize = 26;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A name no layer has.
pub(crate) fn random_name() -> io::Result<String> {
    let random = crio_sys::random::bytes32()?;
    Ok(random[..LENGTH].iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// Whether this could be a name, and so is safe to join to a path.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Makes the links again that the layers' `link` files name. A power cut can lose links whose layers survived.
pub(crate) fn restore(home: &Path) -> io::Result<()> {
    for entry in fs::read_dir(home)? {
        let entry = entry?;
        let Ok(name) = fs::read_to_string(entry.path().join("link")) else {
            continue;
        };
        if !is_name(name.trim()) {
            continue;
        }
        let target = Path::new("..").join(entry.file_name()).join("diff");
        match symlink(target, home.join("l").join(name.trim())) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = random_name().unwrap();
        assert!(is_name(&name) && name.len() == LENGTH);
        assert_ne!(name, random_name().unwrap());
        for bad in ["", "..", "a/b", &"A".repeat(27)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn lost_links_come_back() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("l")).unwrap();
        fs::create_dir_all(home.path().join("layer/diff")).unwrap();
        fs::write(home.path().join("layer/link"), "ABC\n").unwrap();
        restore(home.path()).unwrap();
        restore(home.path()).unwrap();
        assert_eq!(fs::read_link(home.path().join("l/ABC")).unwrap(), Path::new("../layer/diff"));
    }
}
