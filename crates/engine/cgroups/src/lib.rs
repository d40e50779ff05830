//! Control groups: where pods and containers live in the kernel's accounting, on cgroup v2, v1 and hybrid hosts.
//!
//! [`Cgroups::detect`] looks once at what is mounted; everything after that is naming and files:
//! * `hierarchy`: which hierarchies exist, and which controllers they carry
//! * `name`: the names CRI-O gives to sandboxes, containers and monitors under both drivers (they are contract: cAdvisor and
//!   kubelet recognise them)
//! * `directory`: create and remove, in every hierarchy at once
//! * `process`: who is inside, and ending all of them; `freezer`: stopping them for a while
//! * `memory`: usage for update checks and the kernel's evidence of out-of-memory kills
//! * `counter`: cheap repeated reading of a group's usage
//! * `limit`: what runtimes leave out when they update a container
//!
//! Nothing here talks to systemd: with the systemd driver the OCI runtime asks it for scopes, and the sandbox's own group is a
//! plain directory in the pod's slice, as CRI-O makes it. The runtime writes limits, except for the few that
//! `limit` names.
//!
//! All calls block, most of them for microseconds; [`Cgroups::kill`] and [`Cgroups::remove`] may block until their deadline and
//! belong on the blocking pool.

mod counter;
mod directory;
mod freezer;
mod hierarchy;
mod huge_page;
mod limit;
mod memory;
mod name;
mod process;

use std::path::PathBuf;

pub use counter::{CounterError, CounterReader, Counters, CpuDetails, Details, DeviceIo, HugepageUse, MemoryDetails};
pub use directory::{CreateError, RemoveError};
pub use freezer::FreezeError;
pub use hierarchy::{Controller, DetectError, Layout};
pub use limit::LimitError;
pub use memory::MemoryError;
pub use name::{CgroupPath, MonitorCgroup, NameError, Placement};
pub use process::{KillError, ProcessesError};

use hierarchy::Hierarchies;

/// Where the kernel's control groups are mounted on every distribution.
pub const DEFAULT_ROOT: &str = "/sys/fs/cgroup";

/// Who makes the groups (`cgroup_manager` in crio.conf).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Driver {
    /// The OCI runtime makes directories.
    Cgroupfs,
    /// The OCI runtime asks systemd for scopes inside slices.
    Systemd,
}

/// What this engine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Who makes the groups.
    pub driver: Driver,
    /// Where hierarchies are mounted, at or below this directory; `None` for [`DEFAULT_ROOT`].
    pub root: Option<PathBuf>,
}

/// The host's control groups under one driver. Immutable after detection; share it in an `Arc`.
#[derive(Debug)]
pub struct Cgroups {
    driver: Driver,
    hierarchies: Hierarchies,
}

impl Cgroups {
    /// Looks at the mount table of this process and finds the hierarchies.
    ///
    /// # Errors
    /// The mount table cannot be read, or no hierarchy is mounted at or below the root.
    pub fn detect(config: &Config) -> Result<Self, DetectError> {
        let root = config.root.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_ROOT));
        Ok(Self { driver: config.driver, hierarchies: Hierarchies::detect(&root)? })
    }

    /// The driver this host is configured for.
    #[must_use]
    pub fn driver(&self) -> Driver {
        self.driver
    }

    /// How the host mounts its hierarchies.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.hierarchies.layout()
    }

    /// Whether limits of this controller can be set.
    #[must_use]
    pub fn has(&self, controller: Controller) -> bool {
        self.hierarchies.controllers().contains(&controller)
    }

    /// Whether the kernel accounts swap by group, so that a swap limit can be set.
    #[must_use]
    pub fn accounts_swap(&self) -> bool {
        self.hierarchies.accounts_swap()
    }

    /// Page sizes a `hugetlb` limit may name, as the kernel spells them (`2MB`); empty without that controller.
    #[must_use]
    pub fn huge_page_sizes(&self) -> Vec<String> {
        if self.has(Controller::Hugetlb) { huge_page::sizes() } else { Vec::new() }
    }

    /// The directories of a group, one for every mounted hierarchy, whether or not they exist.
    #[must_use]
    pub fn directories(&self, path: &CgroupPath) -> Vec<PathBuf> {
        self.hierarchies.mounts().iter().map(|mount| path.below(&mount.mount_point)).collect()
    }

    /// The `cgroup.procs` files of a group: a process that writes its id to each of them has joined it.
    #[must_use]
    pub fn membership_files(&self, path: &CgroupPath) -> Vec<PathBuf> {
        let mounts = self.hierarchies.mounts().iter().filter(|mount| mount.writable);
        mounts.map(|mount| path.below(&mount.mount_point).join("cgroup.procs")).collect()
    }

    /// The group's directory in the hierarchy that accounts memory; `None` when no hierarchy does.
    ///
    /// The pod monitor watches it for out-of-memory kills: `memory.events` on v2, `memory.oom_control` on v1.
    #[must_use]
    pub fn memory_directory(&self, path: &CgroupPath) -> Option<PathBuf> {
        self.hierarchies.directory(Controller::Memory, path)
    }
}

#[cfg(test)]
mod testing;
