//! What a host device is: its identity, where it appears in the container and what may be done with it.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType};

use crate::DeviceError;

/// Character or block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// Character device.
    Character,
    /// Block device.
    Block,
}

impl DeviceKind {
    fn oci(self) -> LinuxDeviceType {
        match self {
            Self::Character => LinuxDeviceType::C,
            Self::Block => LinuxDeviceType::B,
        }
    }
}

/// What the device cgroup lets the container do: a non-empty subset of read, write and mknod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permissions {
    read: bool,
    write: bool,
    mknod: bool,
}

impl Permissions {
    /// Read, write and mknod.
    pub const ALL: Self = Self { read: true, write: true, mknod: true };

    /// The permissions spelled as a subset of `rwm`; an empty text means all of them, as CRI-O reads it.
    ///
    /// # Errors
    /// [`DeviceError::Permissions`] when a letter is unknown or repeated.
    pub fn parse(text: &str) -> Result<Self, DeviceError> {
        if text.is_empty() {
            return Ok(Self::ALL);
        }
        let mut parsed = Self { read: false, write: false, mknod: false };
        for letter in text.chars() {
            let flag = match letter {
                'r' => &mut parsed.read,
                'w' => &mut parsed.write,
                'm' => &mut parsed.mknod,
                _ => return Err(DeviceError::Permissions { text: text.to_owned() }),
            };
            if std::mem::replace(flag, true) {
                return Err(DeviceError::Permissions { text: text.to_owned() });
            }
        }
        Ok(parsed)
    }

    /// The letters, in the order `rwm`.
    #[must_use]
    pub fn letters(self) -> String {
        [(self.read, 'r'), (self.write, 'w'), (self.mknod, 'm')]
            .into_iter()
            .filter_map(|(set, letter)| set.then_some(letter))
            .collect()
    }
}

/// One device node of the host, as a container shall see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostDevice {
    /// Path in the container.
    pub path: PathBuf,
    /// Character or block.
    pub kind: DeviceKind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits of the node, without the file type.
    pub mode: u32,
    /// Owner of the node in the container.
    pub uid: u32,
    /// Group of the node in the container.
    pub gid: u32,
    /// What the device cgroup allows.
    pub permissions: Permissions,
}

impl HostDevice {
    /// The node as the OCI specification lists it.
    #[must_use]
    pub fn node(&self) -> LinuxDevice {
        let mut node = LinuxDevice::default();
        node.set_path(self.path.clone())
            .set_typ(self.kind.oci())
            .set_major(i64::from(self.major))
            .set_minor(i64::from(self.minor))
            .set_file_mode(Some(self.mode))
            .set_uid(Some(self.uid))
            .set_gid(Some(self.gid));
        node
    }

    /// The device cgroup rule that allows it.
    #[must_use]
    pub fn rule(&self) -> LinuxDeviceCgroup {
        let mut rule = LinuxDeviceCgroup::default();
        rule.set_allow(true)
            .set_typ(Some(self.kind.oci()))
            .set_major(Some(i64::from(self.major)))
            .set_minor(Some(i64::from(self.minor)))
            .set_access(Some(self.permissions.letters()));
        rule
    }

    /// The same device at another path in the container.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.path = path.to_owned();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_a_subset_of_rwm() {
        let cases = [
            ("", Some("rwm")),
            ("r", Some("r")),
            ("mr", Some("rm")),
            ("rwm", Some("rwm")),
            ("rr", None),
            ("x", None),
            ("rwmx", None),
            ("R", None),
        ];
        for (text, expected) in cases {
            let parsed = Permissions::parse(text).ok().map(Permissions::letters);
            assert_eq!(parsed.as_deref(), expected, "{text:?}");
        }
    }
}
