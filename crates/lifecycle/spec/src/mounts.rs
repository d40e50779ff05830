//! What is mounted where, in which order.
//!
//! First the file systems every container has, then the pod's files, then the request's and its devices' mounts by
//! depth, so that none hides one above it. A mount of the request replaces a default at the same place; one at `/dev` or `/sys` replaces
//! everything beneath too. Sources are the caller's: already resolved, already there.

use std::path::{Component, Path, PathBuf};

use crio_types::Propagation;
use oci_spec::runtime::Mount;

use crate::namespaces::mappings;
use crate::{MountKind, ResolvedMount, Sharing, SpecError, SpecInput};

mod defaults;

pub(crate) use defaults::{infra, needs_systemd};

/// The options a request may add to a mount (CRI `mount_options`).
const ALLOWED_OPTIONS: [&str; 3] = ["noexec", "nodev", "nosuid"];

/// All mounts of a container, and how mount events shall travel at its root.
pub(crate) struct Mounts {
    pub(crate) list: Vec<Mount>,
    pub(crate) root_propagation: Option<&'static str>,
    /// systemd's own hierarchy of cgroup v1 is in reach, and with it the file that names a program for the host to run.
    pub(crate) shows_release_agent: bool,
}

/// The mounts of a container.
pub(crate) fn of_container(input: &SpecInput<'_>, arguments: &[String]) -> Result<Mounts, SpecError> {
    let mut requested = Vec::with_capacity(input.mounts.len());
    for mount in input.mounts {
        requested.push((destination(&mount.mount.container_path)?, mount));
    }
    requested.sort_by_key(|(path, _)| path.components().count());
    let taken: Vec<&Path> = requested.iter().map(|(path, _)| path.as_path()).collect();
    let mut list = defaults::of_container(input, arguments, &taken);
    list.retain(|mount| !is_replaced(mount.destination(), &taken));
    let shows_release_agent = list.iter().any(|mount| mount.destination() == Path::new(defaults::CGROUP_SYSTEMD));
    let mut root = None;
    let mut asked = Vec::with_capacity(requested.len() + input.edits.mounts.len());
    for (path, mount) in &requested {
        let propagation = effective_propagation(mount);
        check(input, mount, propagation)?;
        asked.push(request_mount(path, mount, propagation));
        root = stronger(root, propagation);
    }
    asked.extend(input.edits.mounts.iter().cloned());
    asked.sort_by_key(|mount| mount.destination().components().count());
    list.append(&mut asked);
    Ok(Mounts { list, root_propagation: root, shows_release_agent })
}

/// Where a mount goes: absolute, without `.` and `..`, not the root itself.
fn destination(text: &str) -> Result<PathBuf, SpecError> {
    if !text.starts_with('/') {
        return Err(SpecError::RelativePath { what: "mount destination", path: text.to_owned() });
    }
    let mut path = PathBuf::from("/");
    for component in Path::new(text).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                path.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if path == Path::new("/") {
        return Err(SpecError::MountOverRoot { path: text.to_owned() });
    }
    Ok(path)
}

fn is_replaced(destination: &Path, taken: &[&Path]) -> bool {
    let beneath = |root: &str| taken.contains(&Path::new(root)) && destination.starts_with(root);
    taken.contains(&destination) || beneath("/dev") || beneath("/sys")
}

/// A private mount of what the storage lies in would keep the containers' own mounts busy, so it follows the host.
fn effective_propagation(mount: &ResolvedMount) -> Propagation {
    match (mount.kind, mount.mount.propagation) {
        (MountKind::BindOverStorage, Propagation::Private) => Propagation::HostToContainer,
        (_, propagation) => propagation,
    }
}

fn check(input: &SpecInput<'_>, mount: &ResolvedMount, propagation: Propagation) -> Result<(), SpecError> {
    let request = &mount.mount;
    let path = || request.container_path.clone();
    if let Some(option) = request.options.iter().find(|option| !ALLOWED_OPTIONS.contains(&option.as_str())) {
        return Err(SpecError::MountOption { path: path(), option: option.clone() });
    }
    if request.recursive_read_only {
        if !request.readonly || propagation != Propagation::Private {
            return Err(SpecError::RecursiveReadOnly { path: path() });
        }
        if !input.host.runtime.recursive_read_only {
            return Err(SpecError::RroUnsupported { path: path(), handler: input.sandbox.runtime_handler.to_owned() });
        }
    }
    let is_mapped = !request.uid_mappings.is_empty() || !request.gid_mappings.is_empty();
    if is_mapped && !input.host.idmapped_mounts {
        return Err(SpecError::IdmapUnsupported { path: path() });
    }
    let needed = match (request.propagation, mount.sharing) {
        (Propagation::Bidirectional, Some(Sharing::Private | Sharing::Slave)) => "shared",
        (Propagation::HostToContainer, Some(Sharing::Private)) => "shared or slave",
        _ => return Ok(()),
    };
    Err(SpecError::Propagation { path: path(), source_path: mount.source.display().to_string(), needed })
}

fn request_mount(destination: &Path, resolved: &ResolvedMount, propagation: Propagation) -> Mount {
    let request = &resolved.mount;
    if resolved.kind == MountKind::ImageVolumeTmpfs {
        return tmpfs(destination, &["nosuid", "nodev", "noexec", "mode=1777"]);
    }
    let mut options = vec!["rbind"];
    options.push(match propagation {
        Propagation::Private => "rprivate",
        Propagation::HostToContainer => "rslave",
        Propagation::Bidirectional => "rshared",
    });
    options.push(match resolved.kind {
        // The image is everybody's: nothing may be written to it, and nothing in it runs or gains a power by being mounted.
        MountKind::Image => "ro",
        _ if request.recursive_read_only => "rro",
        _ if request.readonly => "ro",
        _ => "rw",
    });
    if resolved.kind == MountKind::Image {
        options.extend(["nosuid", "nodev", "noexec"]);
    }
    for option in &request.options {
        if !options.contains(&option.as_str()) {
            options.push(option);
        }
    }
    let mut mount = bind(destination, &resolved.source, &options);
    // An image is mounted as the pod sees it already.
    let is_mapped = !request.uid_mappings.is_empty() || !request.gid_mappings.is_empty();
    if is_mapped && resolved.kind != MountKind::Image {
        mount
            .set_uid_mappings(Some(mappings(&request.uid_mappings)))
            .set_gid_mappings(Some(mappings(&request.gid_mappings)));
    }
    mount
}

/// The propagation the container's root needs for its mounts to propagate as asked.
fn stronger(root: Option<&'static str>, propagation: Propagation) -> Option<&'static str> {
    match propagation {
        Propagation::Bidirectional => Some("rshared"),
        Propagation::HostToContainer => root.or(Some("rslave")),
        Propagation::Private => root,
    }
}

fn mount(destination: &Path, kind: &str, source: &Path, options: &[&str]) -> Mount {
    let mut mount = Mount::default();
    mount
        .set_destination(destination.to_owned())
        .set_typ(Some(kind.to_owned()))
        .set_source(Some(source.to_owned()))
        .set_options(Some(options.iter().map(|option| (*option).to_owned()).collect()));
    mount
}

fn bind(destination: &Path, source: &Path, options: &[&str]) -> Mount {
    mount(destination, "bind", source, options)
}

fn tmpfs(destination: &Path, options: &[&str]) -> Mount {
    mount(destination, "tmpfs", Path::new("tmpfs"), options)
}
