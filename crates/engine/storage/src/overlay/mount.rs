//! Mounting layers.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use crio_sys::mount::{self, MountAttrFlags, OverlayError, Writable};
use crio_sys::namespace;
use crio_types::LayerId;

use super::{Overlay, create_private, link};
use crate::error::StoreError;

/// How overlays are mounted.
#[derive(Debug)]
pub(crate) struct MountOptions {
    /// Options of the file system.
    options: Vec<String>,
    /// `nodev` and so on.
    attributes: MountAttrFlags,
    skip_mount_home: bool,
}

impl MountOptions {
    /// Sorts `mountopt` into attributes of the mount and options of the file system.
    pub(crate) fn new(words: &[String], skip_mount_home: bool) -> Self {
        let mut sorted = Self { options: Vec::new(), attributes: MountAttrFlags::empty(), skip_mount_home };
        for word in words.iter().map(|word| word.trim()) {
            match word {
                "" | "rw" | "defaults" => {}
                "nodev" => sorted.attributes |= MountAttrFlags::MOUNT_ATTR_NODEV,
                "nosuid" => sorted.attributes |= MountAttrFlags::MOUNT_ATTR_NOSUID,
                "noexec" => sorted.attributes |= MountAttrFlags::MOUNT_ATTR_NOEXEC,
                "noatime" => sorted.attributes |= MountAttrFlags::MOUNT_ATTR_NOATIME,
                "nodiratime" => sorted.attributes |= MountAttrFlags::MOUNT_ATTR_NODIRATIME,
                option => sorted.options.push(option.to_owned()),
            }
        }
        sorted
    }
}

/// How an image is mounted.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImageMountOptions<'a> {
    /// SELinux label; empty for none.
    pub label: &'a str,
    /// The user namespace whose maps the image's owners are seen through.
    pub user_namespace: Option<BorrowedFd<'a>>,
}

/// How one container's layer is mounted.
#[derive(Debug)]
pub(crate) struct LayerMount<'a> {
    /// SELinux label; empty for none.
    pub(crate) label: &'a str,
    /// Skip syncing: a crash may leave the layer broken, and it is then removed.
    pub(crate) is_volatile: bool,
    /// The container's user namespace, whose maps the image's owners are seen through.
    pub(crate) user_namespace: Option<BorrowedFd<'a>>,
}

impl Overlay {
    /// Makes the driver's home a private mount of its own, as podman does, so that podman does not cover it later.
    pub(crate) fn ensure_home(&self) -> Result<(), StoreError> {
        let fail = |source| StoreError::file("making a private mount of", &self.home, source);
        if self.options.skip_mount_home || mount::is_mount_point(&self.home).map_err(fail)? {
            return Ok(());
        }
        mount::bind(&self.home, &self.home).and_then(|()| mount::make_private(&self.home)).map_err(fail)
    }

    /// Mounts a read-write layer on its `merged`.
    pub(crate) fn mount(&self, id: &LayerId, how: &LayerMount<'_>) -> Result<PathBuf, StoreError> {
        self.ensure_home()?;
        let directory = self.layer(id);
        let writable = Writable { upper: directory.join("diff"), work: directory.join("work") };
        let target = directory.join("merged");
        create_private(&target)?;
        // The kernel refuses to mount an upper directory that was mounted volatile before and may be incomplete. That
        // the container is to go on with it was decided by whoever mounts it again.
        let marker = writable.work.join("work/incompat/volatile");
        crio_sys::confined::remove_tree(&marker).map_err(|source| StoreError::file("removing", marker, source))?;
        let mut options = self.options.options.clone();
        if how.is_volatile && !options.iter().any(|option| option == "volatile") {
            options.push("volatile".to_owned());
        }
        let mapped = how.user_namespace.map(|namespace| MappedHome::within(&directory).attach(&self.home, namespace));
        let mapped = mapped.transpose()?;
        let home = mapped.as_ref().map_or(self.home.as_path(), |mapped| &mapped.path);
        let lowers = self.lowers(id, home)?;
        if mapped.is_some() {
            own_like(&lowers[0], &[&writable.upper, &writable.work, &target])?;
        }
        let overlay = mount::Overlay {
            lowers: &lowers,
            writable: Some(writable),
            options: &options,
            attributes: self.options.attributes,
            label: how.label,
        };
        self.mount_or_restore_links(&overlay, &target).map_err(|source| StoreError::Mount {
            what: format!("layer {id}"),
            target: target.clone(),
            source,
        })?;
        Ok(target)
    }

    /// Mounts a layer and those below it on a directory, to be read only.
    pub(crate) fn mount_read_only(
        &self,
        id: &LayerId,
        target: &Path,
        how: ImageMountOptions<'_>,
    ) -> Result<(), StoreError> {
        self.ensure_home()?;
        let mapped = how.user_namespace.map(|namespace| MappedHome::beside(target).attach(&self.home, namespace));
        let mapped = mapped.transpose()?;
        let home = mapped.as_ref().map_or(self.home.as_path(), |mapped| &mapped.path);
        let mut lowers = vec![home.join(id.as_str()).join("diff")];
        lowers.extend(self.lowers(id, home)?);
        let overlay = mount::Overlay {
            lowers: &lowers,
            writable: None,
            options: &self.options.options,
            attributes: self.options.attributes
                | MountAttrFlags::MOUNT_ATTR_RDONLY
                | MountAttrFlags::MOUNT_ATTR_NODEV
                | MountAttrFlags::MOUNT_ATTR_NOSUID
                | MountAttrFlags::MOUNT_ATTR_NOEXEC,
            label: how.label,
        };
        self.mount_or_restore_links(&overlay, target).map_err(|source| StoreError::Mount {
            what: format!("layer {id}"),
            target: target.to_owned(),
            source,
        })
    }

    /// Tries on this host what [`Overlay::mount`] does with a user namespace: layers with mapped owners below an overlay.
    /// It happens out of everybody's sight, and nothing of it stays.
    pub(crate) fn try_mapped(&self, user_namespace: BorrowedFd<'_>) -> Result<(), StoreError> {
        let lowers = ["l", "staging"].map(|name| self.home.join(name));
        let overlay = mount::Overlay {
            lowers: &lowers,
            writable: None,
            options: &self.options.options,
            attributes: MountAttrFlags::MOUNT_ATTR_RDONLY,
            label: "",
        };
        let fail = |source| StoreError::file("id-mapping", &self.home, source);
        let tried = namespace::run_in_own_mounts(|| {
            let tree = mount::id_mapped(&self.home, user_namespace).map_err(fail)?;
            mount::attach(tree.as_fd(), &self.home).map_err(fail)?;
            overlay.mount(&lowers[0]).map_err(|source| StoreError::Mount {
                what: "id-mapped layers".to_owned(),
                target: lowers[0].clone(),
                source,
            })
        });
        tried.unwrap_or_else(|error| Err(fail(std::io::Error::other(error))))
    }

    /// Unmounts a layer. One that is not mounted is fine.
    pub(crate) fn unmount(&self, id: &LayerId) -> Result<(), StoreError> {
        let target = self.merged(id);
        mount::unmount(&target).map_err(|source| StoreError::file("unmounting", target, source))?;
        Ok(())
    }

    /// The directories below a layer, topmost first, as seen from `home`; never empty.
    pub(crate) fn lowers(&self, id: &LayerId, home: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let path = self.layer(id).join("lower");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(StoreError::file("reading", path, source)),
        };
        let mut lowers = Vec::new();
        for word in text.trim().split(':').filter(|word| !word.is_empty()) {
            let name = word.strip_prefix("l/").filter(|name| link::is_name(name));
            let name = name.ok_or_else(|| StoreError::file("reading", &path, std::io::ErrorKind::InvalidData))?;
            lowers.push(home.join("l").join(name));
        }
        if lowers.is_empty() {
            create_private(&self.layer(id).join("empty"))?;
            lowers.push(home.join(id.as_str()).join("empty"));
        }
        Ok(lowers)
    }

    fn mount_or_restore_links(&self, overlay: &mount::Overlay<'_>, target: &Path) -> Result<(), OverlayError> {
        let first = overlay.mount(target);
        let lost = first.is_err() && overlay.lowers.iter().any(|lower| !lower.exists());
        if lost && link::restore(&self.home).is_ok() { overlay.mount(target) } else { first }
    }
}

/// The place for the driver's home seen through the maps of a user namespace, while an overlay is made from it.
pub(crate) struct MappedHome {
    path: PathBuf,
}

impl MappedHome {
    /// The place for a layer of a container's own, in its directory.
    fn within(layer: &Path) -> Self {
        Self { path: layer.join("mapped") }
    }

    /// The place for what is mounted at `target`.
    pub(crate) fn beside(target: &Path) -> Self {
        Self { path: target.with_added_extension("mapped") }
    }

    fn attach(self, home: &Path, namespace: BorrowedFd<'_>) -> Result<Attached, StoreError> {
        create_private(&self.path)?;
        let tree = mount::id_mapped(home, namespace).and_then(|tree| mount::attach(tree.as_fd(), &self.path));
        tree.map_err(|source| StoreError::file("id-mapping the layers at", &self.path, source))?;
        Ok(Attached { path: self.path })
    }

    /// Takes off what a process that died half-way left there. Nothing there is fine.
    pub(crate) fn remove(&self) -> Result<(), StoreError> {
        let removed = mount::unmount(&self.path).and_then(|_| match fs::remove_dir(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        removed.map_err(|source| StoreError::file("removing", &self.path, source))
    }
}

/// The driver's home at such a place. The overlay keeps its own reference.
struct Attached {
    path: PathBuf,
}

impl Drop for Attached {
    fn drop(&mut self) {
        // What stays is taken off with the container.
        let _ = mount::unmount(&self.path);
        let _ = fs::remove_dir(&self.path);
    }
}

/// Gives directories the owner that `example` has in the container's eyes.
fn own_like(example: &Path, directories: &[&Path]) -> Result<(), StoreError> {
    let status = fs::metadata(example).map_err(|source| StoreError::file("examining", example, source))?;
    for directory in directories {
        chown(directory, Some(status.uid()), Some(status.gid()))
            .map_err(|source| StoreError::file("setting the owner of", *directory, source))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_options_are_sorted() {
        let words = ["nodev", "metacopy=on", "", " nosuid", "rw", "volatile"].map(str::to_owned);
        let sorted = MountOptions::new(&words, false);
        assert_eq!(sorted.options, ["metacopy=on", "volatile"]);
        assert_eq!(sorted.attributes, MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID);
    }
}
