//! The host side of the mounts a request asks for: sources that exist, with every symbolic link resolved.

use std::io;
use std::path::{Path, PathBuf};

use crio_spec::{MountKind, ResolvedMount, Sharing};
use crio_types::{Mount, Propagation};

use crate::{Config, PodError};

/// Resolves all mounts of a request, in its order.
pub(crate) fn resolve(config: &Config, mounts: &[Mount]) -> Result<Vec<ResolvedMount>, PodError> {
    let table = if mounts.iter().any(|mount| mount.propagation != Propagation::Private) {
        let path = Path::new("/proc/self/mountinfo");
        std::fs::read_to_string(path).map_err(PodError::file("reading", path))?
    } else {
        String::new()
    };
    mounts.iter().map(|mount| resolve_one(config, mount, &table)).collect()
}

fn resolve_one(config: &Config, mount: &Mount, table: &str) -> Result<ResolvedMount, PodError> {
    if !mount.host_path.starts_with('/') {
        let reason = format!("{:?} is not an absolute path", mount.host_path);
        return Err(PodError::InvalidConfig { field: "config.mounts.host_path", reason });
    }
    let source = source(config, Path::new(&mount.host_path))?;
    let kind = if config.storage_root.starts_with(&source) { MountKind::BindOverStorage } else { MountKind::Bind };
    let sharing = (mount.propagation != Propagation::Private).then(|| sharing(table, &source));
    Ok(ResolvedMount { mount: mount.clone(), source, kind, sharing })
}

/// The real path of a source. What is missing is made, a directory, as CRI-O does, unless the configuration wants it
/// refused.
fn source(config: &Config, path: &Path) -> Result<PathBuf, PodError> {
    match std::fs::canonicalize(path) {
        Ok(source) => Ok(source),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if config.absent_mount_sources_to_reject.iter().any(|rejected| rejected == path) {
                let reason = format!("{} does not exist", path.display());
                return Err(PodError::InvalidConfig { field: "config.mounts.host_path", reason });
            }
            std::fs::create_dir_all(path).map_err(PodError::file("creating the mount source", path))?;
            std::fs::canonicalize(path).map_err(PodError::file("resolving", path))
        }
        Err(error) => Err(PodError::file("resolving", path)(error)),
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
