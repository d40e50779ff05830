//! The names CRI-O gives to groups, under both drivers.
//!
//! They are contract. cAdvisor recognises a sandbox or container by the base name `crio-<64 hex digits>`, ending in `.scope`
//! under systemd, and leaves out `crio-conmon-…`. An OCI runtime is told `<parent>/crio-<id>` under cgroupfs and
//! `<slice>:crio:<id>` under systemd, which makes the scope `crio-<id>.scope` in that slice. Without a parent the defaults are
//! CRI-O's: `/crio` and `system.slice`.
//!
//! A parent comes from a request; [`CgroupPath`] is what is left after checking it: absolute inside a hierarchy, no `.`, `..`
//! or empty component. A parent without a leading `/` counts from the root, as CRI-O takes it. Slice names expand as
//! systemd.slice(5) says: `a-b.slice` lives in `/a.slice/a-b.slice`.

use std::fmt;
use std::path::{Path, PathBuf};

use crio_types::{Classified, ContainerId, ErrorKind, SandboxId};

use crate::{Cgroups, Driver};

const DEFAULT_PARENT: &str = "/crio";
const DEFAULT_SLICE: &str = "system.slice";
const SLICE_SUFFIX: &str = ".slice";
const SCOPE_SUFFIX: &str = ".scope";
const PREFIX: &str = "crio";
const MONITOR_PREFIX: &str = "crio-conmon";
/// The kernel's limit for one name.
const NAME_LENGTH_MAX: usize = 255;
/// Far above what kubelet makes, far below what a path look-up refuses.
const PATH_LENGTH_MAX: usize = 2048;

/// Why a parent was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The systemd driver needs a slice.
    #[error("the cgroup parent {parent:?} is not a slice, which cgroup_manager \"systemd\" needs")]
    NotASlice {
        /// The parent.
        parent: String,
    },
    /// The cgroupfs driver cannot use a slice.
    #[error("the cgroup parent {parent:?} is a systemd slice, but cgroup_manager is \"cgroupfs\"")]
    IsASlice {
        /// The parent.
        parent: String,
    },
    /// The name of a slice encodes its place, and this one encodes none.
    #[error("{slice:?} is not the name of a systemd slice")]
    BadSlice {
        /// The slice.
        slice: String,
    },
    /// The path leaves its place or cannot be a path.
    #[error("the cgroup path {path:?} is refused: {reason}")]
    BadPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Classified for NameError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidArgument
    }
}

/// A group's place in every hierarchy: absolute, normalised, never leaving the root.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CgroupPath(String);

impl CgroupPath {
    /// Checks and normalises a path; a missing leading `/` is added.
    ///
    /// # Errors
    /// The path has a `.` or `..` component, a NUL or a component or length the kernel would refuse.
    pub fn parse(path: &str) -> Result<Self, NameError> {
        let refuse = |reason| Err(NameError::BadPath { path: path.chars().take(NAME_LENGTH_MAX).collect(), reason });
        if path.len() > PATH_LENGTH_MAX {
            return refuse("it is too long");
        }
        let mut normal = String::with_capacity(path.len() + 1);
        for component in path.split('/').filter(|component| !component.is_empty()) {
            if component == "." || component == ".." {
                return refuse("it has a relative component");
            }
            if component.len() > NAME_LENGTH_MAX || component.contains(['\0', '\n']) {
                return refuse("it has a component the kernel does not accept");
            }
            normal.push('/');
            normal.push_str(component);
        }
        if normal.is_empty() {
            normal.push('/');
        }
        Ok(Self(normal))
    }

    /// The path, beginning with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the root group.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The group's directory in the hierarchy mounted at `mount_point`.
    pub(crate) fn below(&self, mount_point: &Path) -> PathBuf {
        if self.is_root() { mount_point.to_owned() } else { mount_point.join(&self.0[1..]) }
    }

    /// A group inside this one. `name` is a single checked component.
    pub(crate) fn child(&self, name: &str) -> Self {
        let parent = if self.is_root() { "" } else { &self.0 };
        Self(format!("{parent}/{name}"))
    }
}

impl fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a sandbox or container lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The group.
    pub path: CgroupPath,
    /// What the OCI runtime is told (`linux.cgroupsPath`).
    pub oci_path: String,
}

/// Where pod monitors go (`monitor_cgroup` of a runtime handler).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MonitorCgroup {
    /// Into the pod's own group, so that the pod pays for its monitor.
    Pod,
    /// Into this slice (systemd only).
    Slice(String),
}

impl Cgroups {
    /// The sandbox's own group, in the pod's group `parent` (CRI `cgroup_parent`; empty for the driver's default).
    ///
    /// It exists even when the pod has no infra container, because cAdvisor finds pods by it; the infra container of a pod that
    /// has one lives in it.
    ///
    /// # Errors
    /// The parent is refused.
    pub fn sandbox_cgroup(&self, parent: &str, id: &SandboxId) -> Result<Placement, NameError> {
        place(self.driver(), parent, id.as_str())
    }

    /// A container's group, in the pod's group `parent`.
    ///
    /// # Errors
    /// The parent is refused.
    pub fn container_cgroup(&self, parent: &str, id: &ContainerId) -> Result<Placement, NameError> {
        place(self.driver(), parent, id.as_str())
    }

    /// The group of the whole pod, which kubelet makes and removes; `None` when the request named no parent, since the default
    /// parent holds every such pod.
    ///
    /// # Errors
    /// The parent is refused.
    pub fn pod_cgroup(&self, parent: &str) -> Result<Option<CgroupPath>, NameError> {
        if parent.is_empty() { Ok(None) } else { resolve(self.driver(), parent).map(|parent| Some(parent.path)) }
    }

    /// The group of a pod's monitor.
    ///
    /// # Errors
    /// The parent or the slice is refused, or a slice is given to the cgroupfs driver.
    pub fn monitor_cgroup(&self, parent: &str, place: &MonitorCgroup, id: &SandboxId) -> Result<CgroupPath, NameError> {
        let parent = match (place, self.driver()) {
            (MonitorCgroup::Slice(slice), Driver::Cgroupfs) => {
                return Err(NameError::IsASlice { parent: slice.clone() });
            }
            (MonitorCgroup::Slice(slice), Driver::Systemd) => slice,
            (MonitorCgroup::Pod, _) => parent,
        };
        let name = leaf(self.driver(), MONITOR_PREFIX, id.as_str());
        resolve(self.driver(), parent).map(|parent| parent.path.child(&name))
    }
}

/// A checked parent.
struct Parent {
    path: CgroupPath,
    /// The slice's own name, under systemd.
    slice: Option<String>,
}

fn place(driver: Driver, parent: &str, id: &str) -> Result<Placement, NameError> {
    let parent = resolve(driver, parent)?;
    let path = parent.path.child(&leaf(driver, PREFIX, id));
    let oci_path = match parent.slice {
        Some(slice) => format!("{slice}:{PREFIX}:{id}"),
        None => path.as_str().to_owned(),
    };
    Ok(Placement { path, oci_path })
}

fn leaf(driver: Driver, prefix: &str, id: &str) -> String {
    match driver {
        Driver::Cgroupfs => format!("{prefix}-{id}"),
        Driver::Systemd => format!("{prefix}-{id}{SCOPE_SUFFIX}"),
    }
}

fn resolve(driver: Driver, parent: &str) -> Result<Parent, NameError> {
    match driver {
        Driver::Cgroupfs => {
            let path = CgroupPath::parse(if parent.is_empty() { DEFAULT_PARENT } else { parent })?;
            if path.name().ends_with(SLICE_SUFFIX) {
                return Err(NameError::IsASlice { parent: path.0 });
            }
            Ok(Parent { path, slice: None })
        }
        Driver::Systemd => {
            let given = CgroupPath::parse(if parent.is_empty() { DEFAULT_SLICE } else { parent })?;
            let slice = given.name();
            if !slice.ends_with(SLICE_SUFFIX) {
                return Err(NameError::NotASlice { parent: given.0 });
            }
            Ok(Parent { path: expand_slice(slice)?, slice: Some(slice.to_owned()) })
        }
    }
}

/// The place a slice's name encodes: each dash is a step down, and `-.slice` is the root.
fn expand_slice(slice: &str) -> Result<CgroupPath, NameError> {
    let refuse = || NameError::BadSlice { slice: slice.to_owned() };
    let stem = slice.strip_suffix(SLICE_SUFFIX).ok_or_else(refuse)?;
    if stem == "-" {
        return CgroupPath::parse("/");
    }
    let printable = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    if !stem.bytes().all(printable) || stem.split('-').any(str::is_empty) {
        return Err(refuse());
    }
    let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
    let path: String = ends.map(|end| format!("/{}{SLICE_SUFFIX}", &stem[..end])).collect();
    CgroupPath::parse(&path)
}

#[cfg(test)]
mod tests;
