//! The way into a user namespace: a root and bind sources that the namespace's root can walk to, owners translated.
//!
//! A runtime puts a container's mounts together inside its user namespace. There the host's closed directories are closed
//! to it, and runtimes as old as Debian's make no id-mapped mounts. So all that is bind-mounted is attached first, ids
//! mapped already, below a small file system that only the container's root may enter:
//! `<state dir>/mapped/<container id>`. A created container has copies of these mounts, so they are taken off at once, and
//! an empty directory stays where the root was: runc begins every exec there. All is named by the id, which is on record
//! before anything is made.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crio_network::namespaces::UserMaps;
use crio_sys::mount::{self, MountAttrFlags, Tmpfs};
use crio_types::{ContainerId, IdMapping};
use oci_spec::runtime::{LinuxIdMapping, Mount, Spec};

use crate::PodError;
use crate::context::Context;
use crate::record::{ContainerRecord, SandboxRecord};

const DIRECTORY: &str = "mapped";
/// Where the root is attached.
const ROOT: &str = "root";
/// It holds nothing but mount points.
const SIZE_BYTES: u64 = 1 << 20;

/// Prepares what `spec` mounts, and has it mount that. A pod without a user namespace needs it only for mounts that are to
/// be id-mapped.
pub(crate) fn stage(
    context: &Context,
    pod: &SandboxRecord,
    record: &ContainerRecord,
    spec: &mut Spec,
) -> Result<(), PodError> {
    let user = pod.user_namespace()?;
    let has_user = user.is_some();
    let is_wanted = |mount: &Mount| is_bind(mount) && (has_user || is_mapped(mount));
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    if !has_user && !mounts.iter().any(is_wanted) {
        return Ok(());
    }
    let stage = Stage {
        place: make_place(&context.config.state_dir, &record.id, pod.root_owner().unwrap_or_default())?,
        maps: pod.user_maps(),
        user,
        // What we made for this pod and container ourselves, as root.
        own: [pod_directory(context, pod), context.engines.store.container_dir(&record.id)],
    };
    if has_user {
        if let Some(root) = spec.root_mut() {
            let staged = stage.attach(ROOT, root.path(), None)?;
            root.set_path(staged);
        }
        fit_terminals(&mut mounts, &pod.user_maps().unwrap_or_default());
    }
    for (number, mount) in mounts.iter_mut().enumerate().filter(|(_, mount)| is_wanted(mount)) {
        stage.attach_mount(&number.to_string(), mount)?;
    }
    spec.set_mounts(Some(mounts));
    Ok(())
}

/// Takes off the mounts that [`stage`] made, when the container has its own. What is not there is no error.
pub(crate) fn clear(state_dir: &Path, id: &ContainerId) -> Result<(), PodError> {
    let place = place(state_dir, id);
    mount::unmount(&place).map(drop).map_err(PodError::file("unmounting", &place))
}

/// Removes all that [`stage`] made. What is not there is no error.
pub(crate) fn release(state_dir: &Path, id: &ContainerId) -> Result<(), PodError> {
    clear(state_dir, id)?;
    let place = place(state_dir, id);
    for directory in [&place.join(ROOT), &place] {
        match std::fs::remove_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(PodError::file("removing", directory)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn place(state_dir: &Path, id: &ContainerId) -> PathBuf {
    state_dir.join(DIRECTORY).join(id.as_str())
}

/// Makes the directory of all such places, which others may walk through and not read.
pub(crate) fn make_directory(state_dir: &Path) -> Result<PathBuf, PodError> {
    let directory = state_dir.join(DIRECTORY);
    let failed = || PodError::file("creating", &directory);
    std::fs::create_dir_all(&directory).map_err(failed())?;
    for path in [state_dir, &directory] {
        let mode = std::fs::metadata(path).map_err(failed())?.permissions().mode();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode | 0o111)).map_err(failed())?;
    }
    // runc takes no root whose path goes through a link, as /var/run is one.
    std::fs::canonicalize(&directory).map_err(failed())
}

fn make_place(state_dir: &Path, id: &ContainerId, (uid, gid): (u32, u32)) -> Result<PathBuf, PodError> {
    let place = make_directory(state_dir)?.join(id.as_str());
    let failed = || PodError::file("making a place for mounts at", &place);
    for directory in [&place, &place.join(ROOT)] {
        std::fs::DirBuilder::new().mode(0o700).create(directory).map_err(failed())?;
    }
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let tmpfs = Tmpfs { size_bytes: Some(SIZE_BYTES), mode: 0o700, attributes, label: "" };
    mount::tmpfs(&place, tmpfs).and_then(|()| mount::make_private(&place)).map_err(failed())?;
    chown(&place, Some(uid), Some(gid)).map_err(failed())?;
    Ok(place)
}

fn pod_directory(context: &Context, pod: &SandboxRecord) -> PathBuf {
    crate::record::PodDirectory::new(&context.config.state_dir, &pod.id).path().to_owned()
}

/// Where one container's mounts are prepared.
struct Stage {
    place: PathBuf,
    user: Option<OwnedFd>,
    maps: Option<UserMaps>,
    own: [PathBuf; 2],
}

impl Stage {
    /// Prepares the source of one mount, and has the mount use it.
    fn attach_mount(&self, name: &str, mount: &mut Mount) -> Result<(), PodError> {
        let source = mount.source().clone().unwrap_or_default();
        let staged = if let Some(maps) = requested_maps(mount) {
            match self.user.as_ref().filter(|_| self.maps.as_ref() == Some(&maps)) {
                Some(user) => self.attach(name, &source, Some(user.as_fd()))?,
                None => {
                    let failed = |error| {
                        invalid(format!("{} cannot be mapped so: {}", source.display(), crio_types::chain(&error)))
                    };
                    let made = maps.make(&[]).map_err(failed)?;
                    self.attach(name, &source, Some(made.user.as_fd()))?
                }
            }
        } else {
            let user = self.user.as_ref().filter(|_| self.own.iter().any(|own| source.starts_with(own)));
            self.attach(name, &source, user.map(AsFd::as_fd))?
        };
        mount.set_source(Some(staged)).set_uid_mappings(None).set_gid_mappings(None);
        Ok(())
    }

    /// Attaches a copy of the tree at `source`, seen through the maps of `user`. Answers where.
    fn attach(&self, name: &str, source: &Path, user: Option<BorrowedFd<'_>>) -> Result<PathBuf, PodError> {
        let tree = mount::copy_tree(source).map_err(PodError::file("preparing a mount of", source))?;
        if let Some(user) = user {
            mount::map_ids(&tree, user).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidInput => {
                    invalid(format!("the file system of {} does not support id-mapped mounts", source.display()))
                }
                _ => PodError::file("id-mapping a mount of", source)(error),
            })?;
        }
        let target = self.place.join(name);
        let is_directory = std::fs::metadata(source).map_err(PodError::file("examining", source))?.is_dir();
        let made =
            if is_directory { std::fs::create_dir(&target) } else { std::fs::File::create_new(&target).map(drop) };
        made.map_err(PodError::file("creating", &target))?;
        mount::attach(&tree, &target).map_err(PodError::file("attaching a mount at", &target))?;
        Ok(target)
    }
}

fn invalid(reason: String) -> PodError {
    PodError::InvalidConfig { field: "config.mounts", reason }
}

/// Devices bring mounts that are binds by their options alone.
fn is_bind(mount: &Mount) -> bool {
    let says_so = |option: &String| option == "bind" || option == "rbind";
    mount.typ().as_deref() == Some("bind") || mount.options().iter().flatten().any(says_so)
}

fn is_mapped(mount: &Mount) -> bool {
    mount.uid_mappings().is_some() || mount.gid_mappings().is_some()
}

fn requested_maps(mount: &Mount) -> Option<UserMaps> {
    let read = |maps: &Option<Vec<LinuxIdMapping>>| {
        let one = |map: &LinuxIdMapping| IdMapping {
            host_id: map.host_id(),
            container_id: map.container_id(),
            length: map.size(),
        };
        maps.iter().flatten().map(one).collect()
    };
    is_mapped(mount).then(|| UserMaps { uids: read(mount.uid_mappings()), gids: read(mount.gid_mappings()) })
}

/// A group that is not mapped cannot own terminals: they stay with whoever opens them.
fn fit_terminals(mounts: &mut [Mount], maps: &UserMaps) {
    for mount in mounts.iter_mut().filter(|mount| mount.typ().as_deref() == Some("devpts")) {
        let is_owned = |option: &String| {
            let gid = option.strip_prefix("gid=").and_then(|gid| gid.parse().ok());
            gid.is_none_or(|gid| maps.maps_gid(gid))
        };
        let fitting = mount.options().iter().flatten().filter(|option| is_owned(option)).cloned().collect();
        mount.set_options(Some(fitting));
    }
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::LinuxIdMappingBuilder;

    use super::*;

    fn maps(length: u32) -> UserMaps {
        let map = vec![IdMapping { host_id: 100_000, container_id: 0, length }];
        UserMaps { uids: map.clone(), gids: map }
    }

    #[test]
    fn binds_are_known_by_type_or_option() {
        let mount = |kind: &str, option: &str| {
            let mut mount = Mount::default();
            mount.set_typ(Some(kind.to_owned())).set_options(Some(vec![option.to_owned()]));
            mount
        };
        for (kind, option, expected) in
            [("bind", "ro", true), ("none", "rbind", true), ("", "bind", true), ("tmpfs", "ro", false)]
        {
            assert_eq!(is_bind(&mount(kind, option)), expected, "{kind:?} {option:?}");
        }
    }

    #[test]
    fn terminals_belong_to_a_group_only_if_it_exists() {
        for (length, expected) in [(6, vec!["newinstance", "gid=5"]), (5, vec!["newinstance"])] {
            let mut mount = Mount::default();
            mount.set_typ(Some("devpts".to_owned()));
            mount.set_options(Some(vec!["newinstance".to_owned(), "gid=5".to_owned()]));
            let mut mounts = [mount];
            fit_terminals(&mut mounts, &maps(length));
            assert_eq!(mounts[0].options().clone().unwrap_or_default(), expected, "{length}");
        }
    }

    #[test]
    fn mounts_are_translated_and_gone_afterwards() {
        let dir = tempfile();
        let id = ContainerId::from_bytes([3; 32]);
        let source = dir.join("source");
        std::fs::create_dir(&source).expect("mkdir");
        std::fs::write(source.join("file"), "of root").expect("write");
        let place = make_place(&dir, &id, (100_000, 100_000)).expect("made");
        assert!(make_place(&dir, &id, (0, 0)).is_err(), "it is nobody else's");
        let user = maps(10).make(&[]).expect("made").user;
        let stage = Stage { place, user: Some(user), maps: Some(maps(10)), own: [dir.join("own"), dir.join("none")] };
        let owner =
            |path: &Path| std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(path.join("file")).expect("stat"));
        let mut mount = Mount::default();
        mount.set_typ(Some("bind".to_owned())).set_source(Some(source.clone()));
        let plain = attached(&stage, "0", mount.clone());
        assert_eq!(owner(&plain), 0);
        for (name, first) in [("1", 100_000), ("2", 200_000)] {
            let mapping = LinuxIdMappingBuilder::default().host_id(first).container_id(0u32).size(10u32).build();
            let mapping = vec![mapping.expect("complete")];
            mount.set_uid_mappings(Some(mapping.clone())).set_gid_mappings(Some(mapping));
            assert_eq!(owner(&attached(&stage, name, mount.clone())), first);
        }
        let own = Stage { own: [dir.clone(), dir.join("none")], ..stage };
        mount.set_uid_mappings(None).set_gid_mappings(None);
        assert_eq!(owner(&attached(&own, "3", mount.clone())), 100_000, "what is the pod's is its root's");
        mount.set_uid_mappings(Some(Vec::new()));
        assert!(own.attach_mount("4", &mut mount).is_err(), "no map is no mapping");

        clear(&dir, &id).expect("cleared");
        assert_eq!(std::fs::read_dir(own.place.join(ROOT)).expect("it stays").count(), 0);
        release(&dir, &id).expect("released");
        release(&dir, &id).expect("released again");
        assert!(!own.place.exists());
        std::fs::remove_dir_all(&dir).expect("removed");
    }

    fn attached(stage: &Stage, name: &str, mut mount: Mount) -> PathBuf {
        stage.attach_mount(name, &mut mount).expect("attached");
        assert!(!is_mapped(&mount), "the runtime is not to map again");
        mount.source().clone().expect("source")
    }

    fn tempfile() -> PathBuf {
        let dir = std::env::temp_dir().join(format!("crio-pods-mapped-{}", std::process::id()));
        std::fs::create_dir(&dir).expect("mkdir");
        std::fs::canonicalize(dir).expect("exists")
    }
}
