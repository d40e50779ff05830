//! Looking at device nodes on the host.
//!
//! Symbolic links are followed to the node they name, as CRI-O does: `/dev/disk/by-id/…` is how people write a disk.
//! A directory gives every node below it, by name order, so that the same request makes the same specification.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crio_types::Device;
use rustix::fs::{FileType, major, minor, stat};

use crate::{DeviceError, DeviceKind, HostDevice, Permissions};

/// The most devices one request, or the host as a whole, may give.
pub const MAX_DEVICES: usize = 16_384;
/// How deep a directory of devices may be.
pub const MAX_DEPTH: usize = 8;

/// Names directly below `/dev` that a privileged container does not get from the host, because it has its own.
const OWN_DIRECTORIES: &[&str] = &["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"];

/// The devices `request` names, with their places in the container.
///
/// # Errors
/// The request is malformed, or names nothing that is a device.
pub fn resolve(request: &Device) -> Result<Vec<HostDevice>, DeviceError> {
    for path in [&request.host_path, &request.container_path] {
        if !path.starts_with('/') {
            return Err(DeviceError::RelativePath { path: path.clone() });
        }
    }
    let permissions = Permissions::parse(&request.permissions)?;
    let host =
        fs::canonicalize(&request.host_path).map_err(|source| inspect_error(Path::new(&request.host_path), source))?;
    let container = Path::new(&request.container_path);
    let meta = fs::metadata(&host).map_err(|source| inspect_error(&host, source))?;
    if !meta.is_dir() {
        let device = node(&host, permissions)?.ok_or_else(|| DeviceError::NotADevice { path: host.clone() })?;
        return Ok(vec![device.at(container)]);
    }
    let mut found = Vec::new();
    walk(&host, 0, &mut |path| {
        if let Some(device) = node(path, permissions)? {
            let relative = path.strip_prefix(&host).expect("the walk stays below its start");
            push(&mut found, device.at(&container.join(relative)), &host)?;
        }
        Ok(())
    })?;
    if found.is_empty() {
        return Err(DeviceError::NotADevice { path: host });
    }
    Ok(found)
}

/// Refuses a device of a privileged container that would take the place of another one of the host.
///
/// # Errors
/// [`DeviceError::Occupied`].
pub fn check_privileged(request: &Device) -> Result<(), DeviceError> {
    let is_moved = request.container_path != request.host_path;
    if is_moved && fs::symlink_metadata(&request.container_path).is_ok() {
        return Err(DeviceError::Occupied { path: request.container_path.clone() });
    }
    Ok(())
}

/// Every device of the host, for privileged containers: all nodes below `dev` (`/dev` outside tests) except the
/// terminals and the directories a container has of its own.
///
/// # Errors
/// `dev` cannot be read, or holds more than [`MAX_DEVICES`].
pub fn all_host_devices(dev: &Path) -> Result<Vec<HostDevice>, DeviceError> {
    let mut found = Vec::new();
    walk(dev, 0, &mut |path| {
        if path.parent() == Some(dev) && path.file_name().is_some_and(|name| name == "console") {
            return Ok(());
        }
        if let Some(device) = node(path, Permissions::ALL)? {
            push(&mut found, device, dev)?;
        }
        Ok(())
    })?;
    Ok(found)
}

fn push(found: &mut Vec<HostDevice>, device: HostDevice, root: &Path) -> Result<(), DeviceError> {
    if found.len() == MAX_DEVICES {
        return Err(DeviceError::TooMany { path: root.to_owned(), limit: MAX_DEVICES });
    }
    found.push(device);
    Ok(())
}

/// Calls `visit` with every path below `directory` that is not a directory and not a link, in name order.
fn walk(
    directory: &Path,
    depth: usize,
    visit: &mut dyn FnMut(&Path) -> Result<(), DeviceError>,
) -> Result<(), DeviceError> {
    if depth > MAX_DEPTH {
        return Err(DeviceError::TooMany { path: directory.to_owned(), limit: MAX_DEVICES });
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory).map_err(|source| inspect_error(directory, source))? {
        paths.push(entry.map_err(|source| inspect_error(directory, source))?.path());
        if paths.len() > MAX_DEVICES {
            return Err(DeviceError::TooMany { path: directory.to_owned(), limit: MAX_DEVICES });
        }
    }
    paths.sort();
    for path in paths {
        // A node may go away while we look; that is the same as if it had gone before.
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        if meta.is_dir() {
            let name = path.file_name().unwrap_or_default();
            if !OWN_DIRECTORIES.iter().any(|own| name == *own) {
                walk(&path, depth + 1, visit)?;
            }
        } else if !meta.file_type().is_symlink() {
            visit(&path)?;
        }
    }
    Ok(())
}

/// The device at `path`, or `None` when it is no device (or is gone).
pub(crate) fn node(path: &Path, permissions: Permissions) -> Result<Option<HostDevice>, DeviceError> {
    let stat = match stat(path) {
        Ok(stat) => stat,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(inspect_error(path, errno.into())),
    };
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => DeviceKind::Character,
        FileType::BlockDevice => DeviceKind::Block,
        _ => return Ok(None),
    };
    Ok(Some(HostDevice {
        path: path.to_owned(),
        kind,
        major: major(stat.st_rdev),
        minor: minor(stat.st_rdev),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        permissions,
    }))
}

fn inspect_error(path: &Path, source: io::Error) -> DeviceError {
    if source.kind() == io::ErrorKind::NotFound {
        DeviceError::Missing { path: path.to_owned() }
    } else {
        DeviceError::Inspect { path: path.to_owned(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str, container: &str, permissions: &str) -> Device {
        Device { host_path: host.to_owned(), container_path: container.to_owned(), permissions: permissions.to_owned() }
    }

    #[test]
    fn a_node_is_what_stat_says() {
        let found = resolve(&request("/dev/null", "/dev/nowhere", "rw")).expect("/dev/null");
        assert_eq!(found.len(), 1);
        let device = &found[0];
        assert_eq!((device.major, device.minor, device.kind), (1, 3, DeviceKind::Character));
        assert_eq!(device.path, Path::new("/dev/nowhere"));
        assert_eq!(device.rule().access().as_deref(), Some("rw"));
    }

    #[test]
    fn a_link_gives_the_node_it_names() {
        let directory = tempfile::tempdir().expect("tempdir");
        let link = directory.path().join("zero");
        std::os::unix::fs::symlink("/dev/zero", &link).expect("symlink");
        let found = resolve(&request(link.to_str().expect("utf-8"), "/dev/z", "")).expect("resolve");
        assert_eq!((found[0].major, found[0].minor), (1, 5));
    }

    #[test]
    fn a_directory_gives_every_node_below_it() {
        use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
        let directory = tempfile::tempdir().expect("tempdir");
        fs::create_dir(directory.path().join("deep")).expect("mkdir");
        fs::write(directory.path().join("plain"), b"").expect("file");
        for (name, number) in [("b", 3), ("deep/a", 5)] {
            mknodat(
                CWD,
                directory.path().join(name),
                FileType::CharacterDevice,
                Mode::from_raw_mode(0o600),
                makedev(1, number),
            )
            .expect("mknod");
        }
        let found = resolve(&request(directory.path().to_str().expect("utf-8"), "/dev/dir", "r")).expect("resolve");
        let paths: Vec<_> = found.iter().map(|device| device.path.to_str().expect("utf-8")).collect();
        assert_eq!(paths, ["/dev/dir/b", "/dev/dir/deep/a"]);
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let empty = tempfile::tempdir().expect("tempdir");
        let empty = empty.path().to_str().expect("utf-8");
        let cases = [
            (request("/dev/null", "dev/x", ""), "not absolute"),
            (request("", "/dev/x", ""), "not absolute"),
            (request("/dev/no-such-device", "/dev/x", ""), "does not exist"),
            (request("/etc/passwd", "/dev/x", ""), "neither a device"),
            (request(empty, "/dev/x", ""), "neither a device"),
            (request("/dev/null", "/dev/x", "q"), "subset"),
        ];
        for (device, expected) in cases {
            let error = resolve(&device).expect_err("refused");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn the_host_has_null_but_no_terminals_of_its_own() {
        let all = all_host_devices(Path::new("/dev")).expect("/dev");
        assert!(all.iter().any(|device| device.path == Path::new("/dev/null")));
        assert!(!all.iter().any(|device| device.path.starts_with("/dev/pts")));
        assert!(!all.iter().any(|device| device.path == Path::new("/dev/console")));
    }

    #[test]
    fn a_privileged_container_keeps_the_hosts_devices() {
        assert!(check_privileged(&request("/dev/null", "/dev/null", "")).is_ok());
        assert!(check_privileged(&request("/dev/null", "/dev/no-such-device", "")).is_ok());
        assert!(check_privileged(&request("/dev/null", "/dev/zero", "")).is_err());
    }
}
