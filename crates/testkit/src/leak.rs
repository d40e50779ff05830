//! What exists on the host, before and after (invariants I3–I6 and I11 of the reliability plan).
//!
//! A [`Snapshot`] holds one line of text for every process, mount, link, firewall rule, control group, address lease and file
//! that could be a node's; what is only in the later of two snapshots is a leak. Tests run side by side, so what cannot be looked
//! at alone (links, rules) is filtered by the node's own words.

mod process;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use anyhow::Result;

pub(crate) use process::processes;
pub(crate) use source::CNI_RESULTS;

/// Where a node's things are found.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The node's directory.
    pub directory: PathBuf,
    /// The control group of its pods.
    pub cgroup_parent: String,
    /// Its bridge, which stays while the node does.
    pub bridge: String,
    /// Words by which a firewall rule is known as the node's.
    pub network_markers: Vec<String>,
    /// A process in its mount namespace.
    pub namespace_pid: u32,
}

/// A kind of thing that can be left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A process or zombie in our groups, with our directory in its command line, or a child of the daemon.
    Process,
    /// A mount in the node's namespace, or one on the host below the node's directory.
    Mount,
    /// A network interface.
    Link,
    /// A line of the nftables or iptables rules.
    Firewall,
    /// A control group, in any hierarchy.
    Cgroup,
    /// An address that host-local has given away, or a cached CNI result.
    Address,
    /// A container's writable layer or mount point in the image store.
    Layer,
    /// A file, socket or fifo of the running state.
    File,
}

/// What there is at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    seen: BTreeMap<Kind, BTreeSet<String>>,
}

impl Snapshot {
    /// Looks at the host.
    ///
    /// # Errors
    /// A tool cannot be run or a table not be read.
    pub fn take(scope: &Scope) -> Result<Self> {
        let kinds = [
            (Kind::Process, process::lines(scope)),
            (Kind::Mount, source::mounts(scope)?),
            (Kind::Link, source::links(scope)?),
            (Kind::Firewall, source::firewall(scope)?),
            (Kind::Cgroup, source::cgroups(scope)),
            (Kind::Address, source::addresses(scope)),
            (Kind::Layer, source::layers(scope)),
            (Kind::File, source::files(scope)),
        ];
        Ok(Self { seen: kinds.into() })
    }

    /// What `after` has and this snapshot has not. The node's own bridge is not a leak.
    #[must_use]
    pub fn leaks(&self, after: &Self, scope: &Scope) -> Leaks {
        let own_bridge = format!("{} ", scope.bridge);
        let nothing = BTreeSet::new();
        let mut found = BTreeMap::new();
        for (kind, lines) in &after.seen {
            let known = self.seen.get(kind).unwrap_or(&nothing);
            let is_bridge = |line: &str| *kind == Kind::Link && line.starts_with(&own_bridge);
            let new: Vec<String> = lines.difference(known).filter(|line| !is_bridge(line)).cloned().collect();
            if !new.is_empty() {
                found.insert(*kind, new);
            }
        }
        Leaks { found }
    }
}

/// What was left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leaks {
    found: BTreeMap<Kind, Vec<String>>,
}

impl Leaks {
    /// Whether nothing was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Leaves out a process that is there by right.
    pub fn forget_process(&mut self, pid: u32) {
        let is_it = |line: &String| line.split(' ').next() == Some(&pid.to_string());
        if let Some(lines) = self.found.get_mut(&Kind::Process) {
            lines.retain(|line| !is_it(line));
        }
        self.found.retain(|_, lines| !lines.is_empty());
    }

    /// Leaks of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &[String] {
        self.found.get(&kind).map_or(&[], Vec::as_slice)
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, lines) in &self.found {
            writeln!(f, "{kind:?}: {}", lines.len())?;
            for line in lines {
                writeln!(f, "  + {line}")?;
            }
        }
        Ok(())
    }
}

/// What a daemon itself holds (invariant I8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
}

impl Footprint {
    /// Of a process.
    ///
    /// # Errors
    /// It is gone.
    pub fn of(pid: u32) -> Result<Self> {
        let count = |name: &str| -> Result<usize> { Ok(std::fs::read_dir(format!("/proc/{pid}/{name}"))?.count()) };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes: u64 = resident.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        Ok(Self { descriptors: count("fd")?, threads: count("task")?, resident_bytes: kibibytes * 1024 })
    }
}

#[cfg(test)]
mod tests;
