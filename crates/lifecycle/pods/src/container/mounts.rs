//! The host side of the mounts a request asks for: sources that exist, with every symbolic link resolved.

mod source;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crio_security::selinux::{Labels, relabel};
use crio_spec::{MountKind, ResolvedMount, Sharing};
use crio_storage::{ImageMountOptions, Store};
use crio_types::{ImageMount, Mount, Propagation};

use crate::container::image_volume;
use crate::record::ContainerRecord;
use crate::{Config, PodError};

pub(crate) use source::{Expected, Source, verify};

/// The mounts of a request, ready to be specified.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// In the request's order.
    pub(crate) mounts: Vec<ResolvedMount>,
    /// What the container shall see of the host.
    pub(crate) expected: Vec<Expected>,
}

impl Resolved {
    /// As a status shows them: sources resolved, images by their digests.
    pub(crate) fn shown(&self, record: &ContainerRecord) -> Vec<Mount> {
        let mut shown: Vec<Mount> = self.mounts.iter().map(|resolved| resolved.mount.clone()).collect();
        for (mount, resolved) in shown.iter_mut().zip(&self.mounts) {
            if mount.image.is_none() {
                mount.host_path = resolved.source.display().to_string();
            }
        }
        for volume in &record.image_volumes {
            if let Some(image) = shown.get_mut(volume.mount).and_then(|mount| mount.image.as_mut()) {
                image.image_ref.clone_from(&volume.image_ref);
            }
        }
        shown
    }
}

/// What a container's mounts are made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Host<'a> {
    pub(crate) config: &'a Config,
    pub(crate) store: &'a Store,
    /// The container's SELinux labels.
    pub(crate) labels: Option<&'a Labels>,
    /// The pod's user namespace, which sees the owners in images as they are.
    pub(crate) user: Option<&'a OwnedFd>,
}

/// Resolves all mounts of a container's request, mounts its images, and gives the volumes that ask for it its label.
pub(crate) fn resolve(host: &Host<'_>, record: &ContainerRecord) -> Result<Resolved, PodError> {
    let label = host.labels.map_or("", |labels| labels.mount.as_str());
    let mut resolved = Resolved::default();
    let mounts = &record.config.mounts;
    let table = mount_table(mounts)?;
    for (number, mount) in mounts.iter().enumerate() {
        if let Some(image) = &mount.image {
            let source = mount_image(host, record, number, image)?;
            let mount = mount.clone();
            resolved.mounts.push(ResolvedMount { mount, source, kind: MountKind::Image, sharing: None });
            continue;
        }
        let (mount, source) = resolve_one(host.config, mount, &table)?;
        if mount.mount.selinux_relabel && host.labels.is_some_and(|labels| !labels.is_unconfined()) {
            let relabelled = relabel(&source, &source.path, label);
            relabelled.map_err(PodError::step("labelling a volume", format!("container {}", record.id)))?;
        }
        let destination = PathBuf::from(&mount.mount.container_path);
        resolved.expected.push(Expected { source, destination });
        resolved.mounts.push(mount);
    }
    Ok(resolved)
}

/// Opens the sources of a container's mounts again, a long time after they were resolved.
///
/// # Errors
/// One is gone, or its path leads elsewhere by now.
pub(crate) fn reopen(mounts: &[Mount]) -> Result<Vec<Expected>, PodError> {
    let mut expected = Vec::new();
    for mount in mounts.iter().filter(|mount| mount.image.is_none()) {
        let (path, destination) = (PathBuf::from(&mount.host_path), PathBuf::from(&mount.container_path));
        let source = Source::open(&path).map_err(PodError::file("opening the mount source", &path))?;
        if source.path != path {
            let destination = mount.container_path.clone();
            return Err(PodError::MountSwapped { source_path: mount.host_path.clone(), destination });
        }
        expected.push(Expected { source, destination });
    }
    Ok(expected)
}

fn mount_image(
    host: &Host<'_>,
    record: &ContainerRecord,
    number: usize,
    image: &ImageMount,
) -> Result<PathBuf, PodError> {
    let planned = record.image_volumes.iter().find(|volume| volume.mount == number);
    let volume = planned.expect("every image of the request was planned before anything was made");
    let label = host.labels.map_or("", |labels| labels.mount.as_str());
    let how = ImageMountOptions { label, user_namespace: host.user.map(AsFd::as_fd) };
    image_volume::mount(host.store, volume, image, how, &record.id)
}

/// The mount table, when a mount of the request is to propagate.
fn mount_table(mounts: &[Mount]) -> Result<String, PodError> {
    let table = if mounts.iter().any(|mount| mount.propagation != Propagation::Private) {
        let path = Path::new("/proc/self/mountinfo");
        std::fs::read_to_string(path).map_err(PodError::file("reading", path))?
    } else {
        String::new()
    };
    Ok(table)
}

fn resolve_one(config: &Config, mount: &Mount, table: &str) -> Result<(ResolvedMount, Source), PodError> {
    if !mount.host_path.starts_with('/') {
        let reason = format!("{:?} is not an absolute path", mount.host_path);
        return Err(PodError::InvalidConfig { field: "config.mounts.host_path", reason });
    }
    let open = source(config, Path::new(&mount.host_path))?;
    let source = open.path.clone();
    let kind = if config.storage_root.starts_with(&source) { MountKind::BindOverStorage } else { MountKind::Bind };
    let sharing = (mount.propagation != Propagation::Private).then(|| sharing(table, &source));
    Ok((ResolvedMount { mount: mount.clone(), source, kind, sharing }, open))
}

/// The source at a path. What is missing is made, a directory, as CRI-O does, unless the configuration wants it
/// refused.
fn source(config: &Config, path: &Path) -> Result<Source, PodError> {
    match Source::open(path) {
        Ok(source) => Ok(source),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if config.absent_mount_sources_to_reject.iter().any(|rejected| rejected == path) {
                let reason = format!("{} does not exist", path.display());
                return Err(PodError::InvalidConfig { field: "config.mounts.host_path", reason });
            }
            std::fs::create_dir_all(path).map_err(PodError::file("creating the mount source", path))?;
            Source::open(path).map_err(PodError::file("opening the mount source", path))
        }
        Err(error) => Err(PodError::file("opening the mount source", path)(error)),
    }
}

/// How mount events travel at `path`: that of the mount with the longest mount point above it, the latest of equals.
fn sharing(mountinfo: &str, path: &Path) -> Sharing {
    let mut best: (usize, Sharing) = (0, Sharing::Private);
    for line in mountinfo.lines() {
        let mut fields = line.split(' ');
        let Some(point) = fields.nth(4).map(unescape) else {
            continue;
        };
        let optional: Vec<&str> = fields.skip(1).take_while(|field| *field != "-").collect();
        if path.starts_with(&point) && point.as_os_str().len() >= best.0 {
            best = (point.as_os_str().len(), of_optional_fields(&optional));
        }
    }
    best.1
}

fn of_optional_fields(fields: &[&str]) -> Sharing {
    if fields.iter().any(|field| field.starts_with("shared:")) {
        Sharing::Shared
    } else if fields.iter().any(|field| field.starts_with("master:")) {
        Sharing::Slave
    } else {
        Sharing::Private
    }
}

/// The kernel writes space, tab, newline and backslash in a mount point as three octal digits.
fn unescape(field: &str) -> PathBuf {
    let mut text = field.to_owned();
    for (escape, plain) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        text = text.replace(escape, plain);
    }
    PathBuf::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_decides_how_events_travel() {
        let table = "\
            27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
            30 27 0:20 / /mnt rw - tmpfs tmpfs rw\n\
            31 30 0:21 / /mnt/with\\040space rw master:1 - tmpfs tmpfs rw\n\
            32 30 0:22 / /mnt/both rw shared:4 master:1 - tmpfs tmpfs rw\n";
        let cases = [
            ("/etc", Sharing::Shared),
            ("/mnt/x", Sharing::Private),
            ("/mnt/with space/x", Sharing::Slave),
            ("/mnt/both", Sharing::Shared),
            ("/mntx", Sharing::Shared),
        ];
        for (path, expected) in cases {
            assert_eq!(sharing(table, Path::new(path)), expected, "{path}");
        }
    }
}
