//! What a pod of `crio pod run` leaves where the leak checker of a node does not look: the default control group, and the
//! directories for logs and volumes that kubelet would have. And what a first pod on a machine changes for good, so that it can
//! be changed back.

use std::fs;
use std::path::{Path, PathBuf};

const CGROUPS: &str = "/sys/fs/cgroup";
/// The group of pods whose request names none.
const DEFAULT_PARENT: &str = "crio";
const LOGS: &str = "/var/log/pods";
const VOLUMES: &str = "/var/lib/crio/pods";

/// One pod, and everything its traces are known by.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    /// Ids of the sandbox and its containers.
    pub(crate) ids: Vec<String>,
    /// Its uid.
    pub(crate) uid: String,
}

impl Pod {
    /// Everything that is still there.
    pub(crate) fn traces(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let hierarchies = entries(Path::new(CGROUPS)).into_iter().chain([PathBuf::from(CGROUPS)]);
        for hierarchy in hierarchies {
            let groups = entries(&hierarchy.join(DEFAULT_PARENT));
            found.extend(groups.into_iter().filter(|group| self.ids.iter().any(|id| names(group, id))));
        }
        let directories = entries(Path::new(LOGS)).into_iter().chain(entries(Path::new(VOLUMES)));
        found.extend(directories.filter(|directory| names(directory, &self.uid)));
        found
    }
}

/// Places that a first pod makes, inner ones first.
const MADE: [&str; 5] = [VOLUMES, "/var/lib/crio", LOGS, "/var/lib/cni/results", "/var/lib/cni"];
/// CNI's bridge plugin lets the host forward packets.
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// The machine as it was. When this is dropped, directories that were not there are removed, unless something is in them by
/// then, and forwarding is what it was.
#[derive(Debug)]
pub(crate) struct Before {
    absent: Vec<PathBuf>,
    forwarding: String,
}

impl Before {
    /// Looks at the machine.
    pub(crate) fn look() -> Self {
        let groups = entries(Path::new(CGROUPS)).into_iter().chain([PathBuf::from(CGROUPS)]);
        let groups = groups.map(|hierarchy| hierarchy.join(DEFAULT_PARENT));
        let places = groups.chain(MADE.into_iter().map(PathBuf::from));
        Self {
            absent: places.filter(|place| !place.exists()).collect(),
            forwarding: fs::read_to_string(FORWARDING).unwrap_or_default(),
        }
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        for place in &self.absent {
            // Most of them are not there now either.
            let _ = fs::remove_dir(place);
        }
        if self.forwarding.trim() == "0" {
            let _ = fs::write(FORWARDING, &self.forwarding);
        }
    }
}

fn names(path: &Path, word: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(word))
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
