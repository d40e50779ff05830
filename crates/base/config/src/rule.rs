//! Small values that several options are made of.

use std::fmt;
use std::path::PathBuf;

/// `name=value`: an environment variable or a sysctl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Left of the first `=`.
    pub name: String,
    /// Right of it.
    pub value: String,
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// A resource limit, `u64::MAX` being unlimited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    /// Lower-case name without `RLIMIT_`, such as `nofile`.
    pub name: String,
    /// What a process starts with.
    pub soft: u64,
    /// How far it may raise it.
    pub hard: u64,
}

impl fmt::Display for Ulimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |limit: u64| {
            if limit == u64::MAX { "-1".to_owned() } else { limit.to_string() }
        };
        write!(f, "{}={}:{}", self.name, bound(self.soft), bound(self.hard))
    }
}

/// A host device for every container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNode {
    /// Path on the host.
    pub host_path: PathBuf,
    /// Path inside.
    pub container_path: PathBuf,
    /// A subset of `rwm`.
    pub permissions: String,
}

impl fmt::Display for DeviceNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.host_path.display(), self.container_path.display(), self.permissions)
    }
}
