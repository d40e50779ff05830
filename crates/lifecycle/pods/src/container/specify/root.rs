//! A look at a mounted root before a runtime mounts into it.
//!
//! OCI runtimes mount `/proc`, `/sys` and `/dev` at these very names, some while the host's root is still theirs. Where an
//! image has a link instead, several of them followed it: out of the container, or to a place that is no `/proc`. Nobody
//! needs such an image, so it is refused whatever the runtime's version.

use std::ffi::OsStr;
use std::path::Path;

use crio_sys::confined::{Root, file_type};
use rustix::fs::FileType;

use crate::PodError;

/// Where runtimes mount the kernel's file systems.
const MOUNTED: [&str; 3] = ["dev", "proc", "sys"];

/// Refuses a root in which a runtime would not mount where it means to.
pub(super) fn check(rootfs: &Path) -> Result<(), PodError> {
    let root = Root::open(rootfs).map_err(PodError::file("opening", rootfs))?;
    for name in MOUNTED {
        let found = file_type(&root, OsStr::new(name)).map_err(PodError::file("looking into", rootfs))?;
        if found.is_some_and(|kind| kind != FileType::Directory) {
            let reason = format!("/{name} of the image is not a directory");
            return Err(PodError::InvalidConfig { field: "config.image", reason });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_are_mounted_on() {
        let top = std::env::temp_dir().join(format!("crio-root-{}", std::process::id()));
        for (name, make, accepted) in [
            ("nothing", None, true),
            ("other", Some("etc"), true),
            ("proc", Some("proc"), false),
            ("dev", Some("dev"), false),
            ("sys", Some("sys"), false),
        ] {
            let root = top.join(name);
            std::fs::create_dir_all(&root).expect("made");
            if let Some(link) = make {
                std::os::unix::fs::symlink("/tmp", root.join(link)).expect("linked");
            }
            assert_eq!(check(&root).is_ok(), accepted, "{name}");
        }
        let file = top.join("file");
        std::fs::create_dir(&file).expect("made");
        std::fs::write(file.join("dev"), "").expect("written");
        assert!(check(&file).is_err());
        std::fs::remove_dir_all(&top).expect("removed");
    }
}
