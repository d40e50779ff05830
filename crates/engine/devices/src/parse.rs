//! The `host[:container[:permissions]]` strings of `additional_devices` and of the devices annotation.
//!
//! As in CRI-O, the second part may be the permissions when it is not a path (`/dev/fuse:rw`).

use std::path::PathBuf;

use crio_types::Device;

use crate::{DeviceError, Permissions};

/// Reads one device string.
///
/// # Errors
/// [`DeviceError::Syntax`], [`DeviceError::RelativePath`] or [`DeviceError::Permissions`].
pub fn parse(text: &str) -> Result<Device, DeviceError> {
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, permissions) = match parts[..] {
        [host] => (host, host, ""),
        [host, second] if second.starts_with('/') => (host, second, ""),
        [host, second] => (host, host, second),
        [host, container, permissions] => (host, container, permissions),
        _ => return Err(DeviceError::Syntax { text: text.to_owned() }),
    };
    for path in [host, container] {
        if !path.starts_with('/') {
            return Err(DeviceError::RelativePath { path: path.to_owned() });
        }
    }
    Ok(Device {
        host_path: host.to_owned(),
        container_path: container.to_owned(),
        permissions: Permissions::parse(permissions)?.letters(),
    })
}

/// Reads the devices annotation: device strings separated by commas, whose host paths must be among `allowed`
/// (`allowed_devices`).
///
/// # Errors
/// As [`parse`], and [`DeviceError::NotAllowed`].
pub fn parse_annotation(text: &str, allowed: &[PathBuf]) -> Result<Vec<Device>, DeviceError> {
    let strings = text.split(',').map(str::trim).filter(|string| !string.is_empty());
    let device = |string| {
        let device = parse(string)?;
        if allowed.iter().any(|path| path.as_os_str() == device.host_path.as_str()) {
            Ok(device)
        } else {
            Err(DeviceError::NotAllowed { path: device.host_path })
        }
    };
    strings.map(device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_two_and_three_parts() {
        let cases = [
            ("/dev/fuse", Some(("/dev/fuse", "/dev/fuse", "rwm"))),
            ("/dev/fuse:/dev/x", Some(("/dev/fuse", "/dev/x", "rwm"))),
            ("/dev/fuse:rw", Some(("/dev/fuse", "/dev/fuse", "rw"))),
            ("/dev/fuse:/dev/x:r", Some(("/dev/fuse", "/dev/x", "r"))),
            ("/dev/fuse:/dev/x:", Some(("/dev/fuse", "/dev/x", "rwm"))),
            ("dev/fuse", None),
            ("", None),
            ("/dev/fuse:/dev/x:r:w", None),
            ("/dev/fuse:/dev/x:rz", None),
            ("/dev/fuse:x:r", None),
        ];
        for (text, expected) in cases {
            let parsed = parse(text).ok();
            let parsed =
                parsed.as_ref().map(|d| (d.host_path.as_str(), d.container_path.as_str(), d.permissions.as_str()));
            assert_eq!(parsed, expected, "{text:?}");
        }
    }

    #[test]
    fn the_annotation_names_allowed_devices_only() {
        let allowed = [PathBuf::from("/dev/fuse"), PathBuf::from("/dev/net/tun")];
        let count = |text| parse_annotation(text, &allowed).ok().map(|devices| devices.len());
        let cases = [
            ("", Some(0)),
            ("/dev/fuse", Some(1)),
            ("/dev/fuse:rw, /dev/net/tun:/dev/tun:r,", Some(2)),
            ("/dev/kmem", None),
            ("/dev/fuse/../kmem", None),
            ("/dev/fuse:zz", None),
        ];
        for (text, expected) in cases {
            assert_eq!(count(text), expected, "{text:?}");
        }
    }
}
