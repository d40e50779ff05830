//! Exits on record: the code for whoever watches the exits directory, and all we know for the daemon, in the pod's.
//!
//! Both files appear whole or not at all. They live under `/run`, so nothing is synced: a host that loses power loses the
//! containers, too.

use std::path::{Path, PathBuf};

use crio_monitor_protocol::{EXIT_RECORD_SUFFIX, ExitRecord};
use crio_types::ContainerId;

/// Where exits are recorded.
#[derive(Debug)]
pub(crate) struct ExitRecords {
    /// The pod's directory.
    pub(crate) directory: PathBuf,
    /// The directory of exit codes.
    pub(crate) exits_directory: PathBuf,
}

impl ExitRecords {
    /// Records an exit, ours first: whoever sees the code finds the rest. Both are tried whatever becomes of one.
    pub(crate) fn write(&self, record: &ExitRecord) -> std::io::Result<()> {
        let own = serde_json::to_vec(record).map_err(std::io::Error::from);
        let own = own.and_then(|bytes| replace(&self.directory, &own_name(&record.id), &bytes));
        let code = record.exit.code.to_string();
        own.and(replace(&self.exits_directory, record.id.as_str(), code.as_bytes()))
    }

    /// Forgets a container's exit.
    pub(crate) fn remove(&self, id: &ContainerId) {
        for path in [self.directory.join(own_name(id)), self.exits_directory.join(id.as_str())] {
            // Absent is what we want; anything else leaves a small file that nobody asks for.
            drop(std::fs::remove_file(path));
        }
    }
}

fn own_name(id: &ContainerId) -> String {
    format!("{id}{EXIT_RECORD_SUFFIX}")
}

fn replace(directory: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = directory.join(format!(".{name}.tmp"));
    std::fs::write(&temporary, bytes)?;
    std::fs::rename(&temporary, directory.join(name))
}

#[cfg(test)]
mod tests {
    use crio_monitor_protocol::Exit;
    use crio_types::Timestamp;

    use super::*;

    #[test]
    fn the_code_is_bare_and_nothing_temporary_stays() {
        let directory = tempfile::tempdir().unwrap();
        let exits = directory.path().join("exits");
        std::fs::create_dir(&exits).unwrap();
        let records = ExitRecords { directory: directory.path().to_owned(), exits_directory: exits.clone() };
        let exit = Exit { code: 137, signal: Some(9), finished_at: Timestamp(1), oom: false, oom_kills: 0 };
        let record = ExitRecord { id: ContainerId::from_bytes([3; 32]), exit };
        records.write(&record).unwrap();
        assert_eq!(std::fs::read(exits.join(record.id.as_str())).unwrap(), b"137");
        let own = std::fs::read(directory.path().join(own_name(&record.id))).unwrap();
        assert_eq!(serde_json::from_slice::<ExitRecord>(&own).unwrap(), record);
        assert_eq!(std::fs::read_dir(&exits).unwrap().count(), 1);
        records.remove(&record.id);
        assert_eq!(std::fs::read_dir(&exits).unwrap().count(), 0);
        std::fs::remove_dir(&exits).unwrap();
        assert!(records.write(&record).is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
