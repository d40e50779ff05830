//! User namespaces of pods: whether this node can have them, and what a request with one cannot be.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crio_network::namespaces::UserMaps;
use crio_security::user::ResolvedUser;
use crio_storage::Store;
use crio_sys::{mount, namespace};
use crio_types::{
    ContainerConfig, IdMapping, NamespaceMode, NamespaceOptions, Propagation, SandboxConfig, UserNamespace, chain,
};

use crate::container::mapped;
use crate::record::SandboxRecord;
use crate::{Config, PodError};

/// The maps that the host is tried with; nothing with these ids stays.
const TRIAL: IdMapping = IdMapping { host_id: 1 << 30, container_id: 0, length: 1 << 16 };

/// Tries what pods with user namespaces need of the kernel and of the file systems below `store` and the state directory.
/// The reason comes back when it cannot be.
pub(crate) fn check_host(config: &Config, store: &Store) -> Result<(), String> {
    let maps = UserMaps { uids: vec![TRIAL], gids: vec![TRIAL] };
    let user = maps.make(&[]).map_err(|error| chain(&error))?.user;
    store.try_mapped_mount(user.as_fd()).map_err(|error| chain(&error))?;
    let directory = mapped::make_directory(&config.state_dir).map_err(|error| chain(&error))?;
    mount::id_mapped(&directory, &user).map_err(|error| format!("id-mapping {}: {error}", directory.display()))?;
    closed_directory(&directory).map_or(Ok(()), |closed| Err(format!("{} is closed to other users", closed.display())))
}

/// The directory on the way to `path` that a user without rights of its own cannot walk through.
fn closed_directory(path: &Path) -> Option<&Path> {
    let is_open = |path: &Path| std::fs::metadata(path).is_ok_and(|status| status.permissions().mode() & 0o001 != 0);
    path.ancestors().find(|path| !is_open(path))
}

/// The request with the configured user namespace, where it has none and could have one.
pub(crate) fn with_default(mut config: SandboxConfig, default: Option<&UserNamespace>) -> SandboxConfig {
    let security = &mut config.security;
    let namespaces = &mut security.namespaces;
    if namespaces.user.is_none() && !security.privileged && check_shared("", namespaces).is_ok() {
        namespaces.user = default.cloned();
    }
    config
}

/// Refuses maps to ids of the host that pods are not to have.
pub(crate) fn check_minimum(config: &SandboxConfig, (uid, gid): (u32, u32)) -> Result<(), PodError> {
    let Some(maps) = maps(config) else { return Ok(()) };
    for (what, maps, minimum) in [("uid", &maps.uids, uid), ("gid", &maps.gids, gid)] {
        if let Some(map) = maps.iter().find(|map| map.host_id < minimum) {
            return Err(refused(&format!("{what} {} of the host is below {minimum}, the lowest allowed", map.host_id)));
        }
    }
    Ok(())
}

/// Refuses what no pod with a user namespace can be.
pub(crate) fn check_sandbox(config: &SandboxConfig) -> Result<(), PodError> {
    let namespaces = &config.security.namespaces;
    if namespaces.user.is_some() { check_shared("a pod", namespaces) } else { Ok(()) }
}

/// Refuses a container that asks for another user namespace than its pod's, or for what cannot be in it.
pub(crate) fn check_container(pod: &SandboxConfig, config: &ContainerConfig) -> Result<(), PodError> {
    let of_pod = &pod.security.namespaces.user;
    let namespaces = &config.security.namespaces;
    if namespaces.user.is_some() && namespaces.user != *of_pod {
        return Err(refused("a container is in its pod's user namespace and no other"));
    }
    if of_pod.is_none() {
        return Ok(());
    }
    check_shared("a container", namespaces)?;
    if config.mounts.iter().any(|mount| mount.propagation == Propagation::Bidirectional) {
        return Err(refused("mounts made in a user namespace do not reach the host: PROPAGATION_BIDIRECTIONAL"));
    }
    Ok(())
}

/// The root of a user namespace has no power over the host's other namespaces, so nothing in them could be set up.
fn check_shared(what: &str, namespaces: &NamespaceOptions) -> Result<(), PodError> {
    let modes = [("network", &namespaces.network), ("pid", &namespaces.pid), ("ipc", &namespaces.ipc)];
    match modes.iter().find(|(_, mode)| **mode == NamespaceMode::Node) {
        Some((name, _)) => {
            Err(refused(&format!("{what} with a user namespace cannot use the host's {name} namespace")))
        }
        None => Ok(()),
    }
}

fn refused(reason: &str) -> PodError {
    PodError::InvalidConfig { field: "namespace_options.userns_options", reason: reason.to_owned() }
}

/// Refuses a user whose ids the pod does not have.
pub(crate) fn check_user(pod: &SandboxRecord, user: &ResolvedUser) -> Result<(), PodError> {
    let Some(maps) = pod.user_maps() else { return Ok(()) };
    let invalid = |what: &str, id: u32| {
        let reason = format!("{what} {id} is not mapped in the pod's user namespace");
        Err(PodError::InvalidConfig { field: "linux.security_context", reason })
    };
    if !maps.maps_uid(user.uid) {
        return invalid("user", user.uid);
    }
    let mut groups = std::iter::once(&user.gid).chain(&user.groups);
    groups.find(|gid| !maps.maps_gid(**gid)).map_or(Ok(()), |gid| invalid("group", *gid))
}

impl SandboxRecord {
    /// The maps of the pod's user namespace, when it has one.
    pub(crate) fn user_maps(&self) -> Option<UserMaps> {
        maps(&self.config)
    }

    /// Uid and gid of the pod's root on the host, when they are not the host's own.
    pub(crate) fn root_owner(&self) -> Option<(u32, u32)> {
        self.user_maps()?.root()
    }

    /// The pod's pinned user namespace.
    pub(crate) fn user_namespace(&self) -> Result<Option<OwnedFd>, PodError> {
        let Some(path) = &self.namespaces.user else { return Ok(None) };
        let opened = namespace::open(path);
        opened
            .map(Some)
            .map_err(|error| PodError::file("opening the user namespace", path)(std::io::Error::other(error)))
    }
}

/// The maps a pod asks for.
pub(crate) fn maps(config: &SandboxConfig) -> Option<UserMaps> {
    let user = config.security.namespaces.user.as_ref()?;
    Some(UserMaps { uids: user.uids.clone(), gids: user.gids.clone() })
}

#[cfg(test)]
mod tests {
    use crio_types::{Classified, ErrorKind, Mount};

    use super::*;

    fn user(host_id: u32) -> Option<UserNamespace> {
        let map = vec![IdMapping { host_id, container_id: 0, length: 65_536 }];
        Some(UserNamespace { mode: NamespaceMode::Pod, uids: map.clone(), gids: map })
    }

    fn sandbox(user: Option<UserNamespace>) -> SandboxConfig {
        let mut config = SandboxConfig::default();
        config.security.namespaces.user = user;
        config.security.namespaces.pid = NamespaceMode::Container;
        config
    }

    #[test]
    fn a_user_namespace_goes_with_no_namespace_of_the_host() {
        type Field = fn(&mut NamespaceOptions) -> &mut NamespaceMode;
        let fields: [(&str, Field); 3] =
            [("network", |n| &mut n.network), ("pid", |n| &mut n.pid), ("ipc", |n| &mut n.ipc)];
        assert!(check_sandbox(&sandbox(user(1000))).is_ok());
        for (name, field) in fields {
            let mut config = sandbox(user(1000));
            *field(&mut config.security.namespaces) = NamespaceMode::Node;
            let error = check_sandbox(&config).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains(name), "{error}");
            config.security.namespaces.user = None;
            assert!(check_sandbox(&config).is_ok(), "{name}");

            let mut container = ContainerConfig::default();
            *field(&mut container.security.namespaces) = NamespaceMode::Node;
            assert!(check_container(&sandbox(user(1000)), &container).is_err(), "{name}");
            assert!(check_container(&sandbox(None), &container).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_configured_users_are_for_pods_that_can_have_some() {
        let default = user(100_000);
        let with = |config| with_default(config, default.as_ref()).security.namespaces.user;
        assert_eq!(with(sandbox(None)), default);
        assert_eq!(with(sandbox(user(7))), user(7));
        let mut config = sandbox(None);
        config.security.namespaces.ipc = NamespaceMode::Node;
        assert_eq!(with(config), None);
        let mut config = sandbox(None);
        config.security.privileged = true;
        assert_eq!(with(config), None);
        assert_eq!(with_default(sandbox(None), None), sandbox(None));
    }

    #[test]
    fn ids_below_the_lowest_allowed_are_refused() {
        for (minimum, accepted) in [((0, 0), true), ((1000, 1000), true), ((1001, 0), false), ((0, 1001), false)] {
            assert_eq!(check_minimum(&sandbox(user(1000)), minimum).is_ok(), accepted, "{minimum:?}");
        }
        assert!(check_minimum(&sandbox(None), (u32::MAX, u32::MAX)).is_ok());
    }

    #[test]
    fn a_container_has_its_pods_users() {
        let with = |user| {
            let mut config = ContainerConfig::default();
            config.security.namespaces.user = user;
            config
        };
        let cases = [
            (user(1), None, true),
            (user(1), user(1), true),
            (None, None, true),
            (user(1), user(2), false),
            (None, user(1), false),
        ];
        for (pod, container, accepted) in cases {
            assert_eq!(
                check_container(&sandbox(pod.clone()), &with(container.clone())).is_ok(),
                accepted,
                "{pod:?} {container:?}"
            );
        }
        let mount = Mount { propagation: Propagation::Bidirectional, ..Mount::default() };
        let config = ContainerConfig { mounts: vec![mount], ..ContainerConfig::default() };
        assert!(check_container(&sandbox(user(1)), &config).is_err());
        assert!(check_container(&sandbox(None), &config).is_ok());
    }

    #[test]
    fn a_closed_directory_is_found_on_the_way() {
        let top = std::env::temp_dir().join(format!("crio-pods-users-{}", std::process::id()));
        let path = top.join("a/b");
        std::fs::create_dir_all(&path).expect("mkdir");
        assert_eq!(closed_directory(&path), None);
        std::fs::set_permissions(top.join("a"), std::fs::Permissions::from_mode(0o750)).expect("chmod");
        assert_eq!(closed_directory(&path), Some(top.join("a").as_path()));
        std::fs::remove_dir_all(&top).expect("removed");
    }
}
