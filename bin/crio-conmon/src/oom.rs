//! Evidence of out-of-memory kills, from a container's cgroup.
//!
//! The kernel counts the processes it killed: `oom_kill` in `memory.events` (v2) or in `memory.oom_control` (v1). The count
//! must be read before the cgroup goes away. Ours stay until we have the runtime delete them; systemd removes an empty
//! scope by itself, so on v2 the file is also watched while the container runs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

const FILES: [&str; 2] = ["memory.events", "memory.oom_control"];
/// More than either file ever has.
const FILE_MAX_BYTES: usize = 1024;

/// How many processes were killed in these cgroups. Directories that are gone, or of other controllers, count none.
pub(crate) fn kills(cgroups: &[PathBuf]) -> u64 {
    let files = cgroups.iter().flat_map(|directory| FILES.map(|name| directory.join(name)));
    files.filter_map(|path| File::open(path).ok()).map(|file| count(&file)).max().unwrap_or(0)
}

/// Opens a v2 event file, which raises an exceptional condition when its counters change.
pub(crate) fn watch(cgroups: &[PathBuf]) -> Option<File> {
    cgroups.iter().find_map(|directory| File::open(directory.join(FILES[0])).ok())
}

/// The count in an open file.
pub(crate) fn count(file: &File) -> u64 {
    let mut buffer = [0u8; FILE_MAX_BYTES];
    let length = file.read_at(&mut buffer, 0).unwrap_or(0);
    let text = std::str::from_utf8(&buffer[..length]).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_in_either_layout() {
        let v2 = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n";
        let v1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n";
        let cases =
            [("memory.events", v2, 2), ("memory.oom_control", v1, 5), ("memory.events", "", 0), ("other", v1, 0)];
        for (name, text, expected) in cases {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join(name), text).unwrap();
            assert_eq!(kills(&[PathBuf::from("/nowhere"), directory.path().to_owned()]), expected, "{text}");
        }
        assert_eq!(kills(&[]), 0);
    }
}
