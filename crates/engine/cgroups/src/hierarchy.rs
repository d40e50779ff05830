//! Which control group hierarchies the host has mounted, and what they carry.
//!
//! The mount table says what is mounted where; comparing device numbers says what is really *visible* there, because a mount can
//! be covered by a later one (a private `tmpfs` over `unified`, a cgroup2 over the whole tree). One mount is kept for every
//! hierarchy. Formats: proc_pid_mountinfo(5), cgroups(7).

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crio_types::{Classified, ErrorKind};
use rustix::fs::Access;

use crate::CgroupPath;

/// A resource the kernel can account or limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Controller {
    /// Processor shares and quotas.
    Cpu,
    /// Processor time used; v2 always accounts it.
    Cpuacct,
    /// Processors and memory nodes allowed.
    Cpuset,
    /// Memory.
    Memory,
    /// Number of tasks.
    Pids,
    /// Block input and output (`blkio` on v1).
    Io,
    /// Huge pages.
    Hugetlb,
    /// Device access; on v2 it is a BPF program, which needs no controller.
    Devices,
    /// Stopping all tasks; on v2 every group can.
    Freezer,
}

/// How a host mounts its hierarchies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Only cgroup v2.
    Unified,
    /// Only cgroup v1.
    Legacy,
    /// Controllers on v1 and a v2 hierarchy beside them.
    Hybrid,
}

/// Why the hierarchies could not be found.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The mount table could not be read.
    #[error("cannot read the mount table {path}")]
    ReadMounts {
        /// The file.
        path: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Nothing is mounted there.
    #[error("no control group hierarchy is mounted at or below {}", root.display())]
    NoHierarchy {
        /// Where it was looked for.
        root: PathBuf,
    },
}

impl Classified for DetectError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::ReadMounts { .. } => ErrorKind::Internal,
            Self::NoHierarchy { .. } => ErrorKind::FailedPrecondition,
        }
    }
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Device number as the mount table shows it; unique to a hierarchy.
    device: (u32, u32),
    /// Where.
    pub(crate) mount_point: PathBuf,
    /// Whether it is the v2 hierarchy.
    pub(crate) unified: bool,
    /// Controllers it carries.
    controllers: BTreeSet<Controller>,
    /// Whether groups can be made in it.
    pub(crate) writable: bool,
}

impl Mount {
    pub(crate) fn carries(&self, controller: Controller) -> bool {
        self.controllers.contains(&controller)
    }
}

/// Every mounted hierarchy.
#[derive(Debug)]
pub(crate) struct Hierarchies {
    mounts: Vec<Mount>,
    controllers: BTreeSet<Controller>,
    accounts_swap: bool,
}

impl Hierarchies {
    /// Reads the mount table of this thread's mount namespace.
    pub(crate) fn detect(root: &Path) -> Result<Self, DetectError> {
        const MOUNTS: &str = "/proc/thread-self/mountinfo";
        let table = std::fs::read(MOUNTS).map_err(|source| DetectError::ReadMounts { path: MOUNTS, source })?;
        let mut mounts: Vec<Mount> = Vec::new();
        for mut mount in parse_mounts(&String::from_utf8_lossy(&table)) {
            let known = mounts.iter().any(|other| other.device == mount.device);
            if known || !mount.mount_point.starts_with(root) || !is_visible(&mount) {
                continue;
            }
            mount.writable = is_writable(&mount.mount_point);
            if mount.unified {
                mount.controllers = unified_controllers(&mount.mount_point);
            }
            mounts.push(mount);
        }
        if mounts.is_empty() {
            return Err(DetectError::NoHierarchy { root: root.to_owned() });
        }
        let controllers = mounts.iter().flat_map(|mount| mount.controllers.iter().copied()).collect();
        let mut hierarchies = Self { mounts, controllers, accounts_swap: false };
        hierarchies.accounts_swap = hierarchies.find_swap_accounting();
        Ok(hierarchies)
    }

    pub(crate) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    pub(crate) fn controllers(&self) -> &BTreeSet<Controller> {
        &self.controllers
    }

    pub(crate) fn accounts_swap(&self) -> bool {
        self.accounts_swap
    }

    pub(crate) fn layout(&self) -> Layout {
        let unified = self.mounts.iter().any(|mount| mount.unified);
        let legacy = self.mounts.iter().any(|mount| !mount.unified);
        match (unified, legacy) {
            (true, false) => Layout::Unified,
            (true, true) => Layout::Hybrid,
            (false, _) => Layout::Legacy,
        }
    }

    /// The hierarchy that carries a controller.
    pub(crate) fn mount(&self, controller: Controller) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.carries(controller))
    }

    /// The v2 hierarchy, on hosts where it carries the controllers.
    pub(crate) fn unified_only(&self) -> Option<&Mount> {
        self.mounts.first().filter(|_| self.layout() == Layout::Unified)
    }

    /// A group's directory in the hierarchy that carries a controller.
    pub(crate) fn directory(&self, controller: Controller, path: &CgroupPath) -> Option<PathBuf> {
        self.mount(controller).map(|mount| path.below(&mount.mount_point))
    }

    /// v1 shows the swap files in the root group, v2 only in the groups below it; without one to look at, the kernel's swap
    /// support is the best evidence.
    fn find_swap_accounting(&self) -> bool {
        let Some(mount) = self.mount(Controller::Memory) else {
            return false;
        };
        if !mount.unified {
            return mount.mount_point.join("memory.memsw.limit_in_bytes").exists();
        }
        let children = std::fs::read_dir(&mount.mount_point).into_iter().flatten().flatten();
        let accounted = children
            .filter(|entry| entry.path().join("memory.current").exists())
            .map(|entry| entry.path().join("memory.swap.max").exists())
            .next();
        accounted.unwrap_or_else(|| Path::new("/proc/swaps").exists())
    }
}

/// Whether what the table lists at this place is what a path look-up finds there.
fn is_visible(mount: &Mount) -> bool {
    let Ok(found) = rustix::fs::stat(&mount.mount_point) else {
        return false;
    };
    (rustix::fs::major(found.st_dev), rustix::fs::minor(found.st_dev)) == mount.device
}

fn is_writable(mount_point: &Path) -> bool {
    rustix::fs::access(mount_point, Access::WRITE_OK).is_ok()
}

fn unified_controllers(mount_point: &Path) -> BTreeSet<Controller> {
    let list = std::fs::read_to_string(mount_point.join("cgroup.controllers")).unwrap_or_default();
    let mut controllers: BTreeSet<_> = list.split_whitespace().filter_map(unified_controller).collect();
    controllers.insert(Controller::Cpuacct);
    controllers
}

fn unified_controller(name: &str) -> Option<Controller> {
    match name {
        "io" => Some(Controller::Io),
        "cpu" | "cpuset" | "memory" | "pids" | "hugetlb" => legacy_controller(name),
        _ => None,
    }
}

fn legacy_controller(name: &str) -> Option<Controller> {
    match name {
        "cpu" => Some(Controller::Cpu),
        "cpuacct" => Some(Controller::Cpuacct),
        "cpuset" => Some(Controller::Cpuset),
        "memory" => Some(Controller::Memory),
        "pids" => Some(Controller::Pids),
        "blkio" => Some(Controller::Io),
        "hugetlb" => Some(Controller::Hugetlb),
        "devices" => Some(Controller::Devices),
        "freezer" => Some(Controller::Freezer),
        _ => None,
    }
}

/// The control group mounts of a mount table, in its order. Whether they are visible and writable is for the caller to find.
fn parse_mounts(table: &str) -> Vec<Mount> {
    table.lines().filter_map(parse_mount).collect()
}

/// One line: `id parent major:minor root mount-point options [optional]… - type source super-options`.
fn parse_mount(line: &str) -> Option<Mount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(2);
    let (major, minor) = fields.next()?.split_once(':')?;
    let mount_point = unescape(fields.nth(1)?);
    let mut filesystem = filesystem.split(' ');
    let unified = match filesystem.next()? {
        "cgroup2" => true,
        "cgroup" => false,
        _ => return None,
    };
    let options = filesystem.nth(1).unwrap_or_default();
    let controllers =
        if unified { BTreeSet::new() } else { options.split(',').filter_map(legacy_controller).collect() };
    Some(Mount {
        device: (major.parse().ok()?, minor.parse().ok()?),
        mount_point: PathBuf::from(mount_point),
        unified,
        controllers,
        writable: false,
    })
}

/// Undoes the octal escapes of space, tab, newline and backslash.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[cfg(test)]
mod tests;
