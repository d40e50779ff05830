//! Evidence of out-of-memory kills, from a container's cgroup.
//!
//! The kernel counts the processes it killed: `oom_kill` in `memory.events` (v2) or in `memory.oom_control` (v1). The count
//! must be read before the cgroup goes away. Ours stay until we have the runtime delete them; systemd removes an empty
//! scope by itself, so on v2 the file is also watched while the container runs. Systemd may still be faster than we are:
//! then the pod's own cgroup, which counts what happens below it and stays, has the evidence ([`PodKills`]).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const FILES: [&str; 2] = ["memory.events", "memory.oom_control"];
/// More than either file ever has.
const FILE_MAX_BYTES: usize = 1024;

/// How many processes were killed in these cgroups; `None` when all that account memory are gone.
pub(crate) fn kills(cgroups: &[PathBuf]) -> Option<u64> {
    let files = cgroups.iter().flat_map(|directory| FILES.map(|name| directory.join(name)));
    files.filter_map(|path| count(&File::open(path).ok()?)).max()
}

/// Opens a v2 event file, which raises an exceptional condition when its counters change.
pub(crate) fn watch(cgroups: &[PathBuf]) -> Option<File> {
    cgroups.iter().find_map(|directory| File::open(directory.join(FILES[0])).ok())
}

/// The count in an open file; `None` when its cgroup is gone.
pub(crate) fn count(file: &File) -> Option<u64> {
    let mut buffer = [0u8; FILE_MAX_BYTES];
    let length = file.read_at(&mut buffer, 0).ok()?;
    let text = std::str::from_utf8(&buffer[..length]).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    Some(value.and_then(|value| value.trim().parse().ok()).unwrap_or(0))
}

/// The kills in all of a pod, for a container whose own cgroup is gone before it could be read: what no other container
/// of the pod accounts for is its own. Only v2 counts what happens in the cgroups below.
#[derive(Debug, Default)]
pub(crate) struct PodKills {
    events: Option<File>,
    /// What the file had counted before the first container.
    before: u64,
    /// Kills of containers that are over.
    accounted: u64,
}

impl PodKills {
    /// Begins to count, with the first container that knows the pod's cgroup.
    pub(crate) fn begin(&mut self, cgroup: Option<&Path>) {
        if self.events.is_none() {
            self.events = cgroup.and_then(|directory| File::open(directory.join(FILES[0])).ok());
            self.before = self.total();
        }
    }

    /// Kills that neither ended containers nor those that run (`running`) account for.
    pub(crate) fn unaccounted(&self, running: u64) -> u64 {
        self.total().saturating_sub(self.before).saturating_sub(self.accounted).saturating_sub(running)
    }

    /// Puts down the kills of a container that is over.
    pub(crate) fn account(&mut self, kills: u64) {
        self.accounted += kills;
    }

    fn total(&self) -> u64 {
        self.events.as_ref().and_then(count).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_in_either_layout() {
        let v2 = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n";
        let v1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n";
        let cases = [
            ("memory.events", v2, Some(2)),
            ("memory.oom_control", v1, Some(5)),
            ("memory.events", "", Some(0)),
            ("other", v1, None),
        ];
        for (name, text, expected) in cases {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join(name), text).unwrap();
            assert_eq!(kills(&[PathBuf::from("/nowhere"), directory.path().to_owned()]), expected, "{text}");
        }
        assert_eq!(kills(&[]), None);
    }

    #[test]
    fn what_no_other_container_has_is_the_lost_ones() {
        let pod = tempfile::tempdir().unwrap();
        let counted = |kills: u64| {
            std::fs::write(pod.path().join("memory.events"), format!("oom 9\noom_kill {kills}\n")).unwrap();
        };
        counted(4);
        let mut kills = PodKills::default();
        assert_eq!(kills.unaccounted(0), 0, "nothing is known of the pod");
        kills.begin(Some(pod.path()));
        assert_eq!(kills.unaccounted(0), 0, "older kills are nobody's");
        counted(6);
        kills.begin(Some(pod.path()));
        assert_eq!(kills.unaccounted(0), 2, "counting begins once");
        assert_eq!(kills.unaccounted(1), 1, "one is a running container's");
        kills.account(2);
        assert_eq!(kills.unaccounted(0), 0);
        assert_eq!(kills.unaccounted(1), 0, "a count that is read late is not below nothing");
    }
}
