//! Keeping the processes of a group from running, and letting them go on.

use std::io::{self, ErrorKind as Io};
use std::path::PathBuf;

use crio_types::{Classified, ErrorKind};

use crate::process::is_gone;
use crate::{CgroupPath, Cgroups, Controller};

/// A group could not be frozen or thawed.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// The host has no hierarchy that can.
    #[error("no control group hierarchy of this host can freeze {path}")]
    Unsupported {
        /// The group.
        path: CgroupPath,
    },
    /// The kernel refused.
    #[error("cannot write {}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Classified for FreezeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unsupported { .. } => ErrorKind::Unimplemented,
            Self::Write { source, .. } if source.kind() == Io::NotFound => ErrorKind::NotFound,
            Self::Write { .. } => ErrorKind::Internal,
        }
    }
}

impl Cgroups {
    /// Begins to freeze a group: its processes stop as soon as each is out of the kernel. Not waited for: whoever needs
    /// them all stopped looks at them anyway.
    ///
    /// # Errors
    /// The group does not exist, or the kernel refused.
    pub fn freeze(&self, path: &CgroupPath) -> Result<(), FreezeError> {
        self.set_frozen(path, true)
    }

    /// Lets a group's processes go on. A group that is not frozen, or is gone, is fine.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn thaw(&self, path: &CgroupPath) -> Result<(), FreezeError> {
        match self.set_frozen(path, false) {
            Err(FreezeError::Write { source, .. }) if is_gone(&source) => Ok(()),
            other => other,
        }
    }

    fn set_frozen(&self, path: &CgroupPath, frozen: bool) -> Result<(), FreezeError> {
        let v2 = || Some(path.below(&self.hierarchies.unified_only()?.mount_point));
        let (file, text) = match (v2(), self.hierarchies.directory(Controller::Freezer, path)) {
            (Some(directory), _) => (directory.join("cgroup.freeze"), if frozen { "1" } else { "0" }),
            (None, Some(directory)) => (directory.join("freezer.state"), if frozen { "FROZEN" } else { "THAWED" }),
            (None, None) => return Err(FreezeError::Unsupported { path: path.clone() }),
        };
        // Opened, not made: a group that is gone is not to be taken for a file that is missing.
        let written = std::fs::OpenOptions::new().write(true).open(&file);
        let written = written.and_then(|mut opened| io::Write::write_all(&mut opened, text.as_bytes()));
        written.map_err(|source| FreezeError::Write { file, source })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::testing::{Group, Inside, PATIENCE, legacy, unified};

    #[expect(clippy::disallowed_methods, reason = "nothing tells that a process does nothing")]
    fn is_stopped(inside: &Inside) -> bool {
        let before = ticks(inside.0.id());
        std::thread::sleep(Duration::from_millis(300));
        ticks(inside.0.id()) == before
    }

    /// Processor time a process has used, in clock ticks.
    fn ticks(pid: u32) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    fn freezes_and_thaws(cgroups: &Cgroups) {
        let group = Group::create(cgroups, "freezer");
        let mut inside = group.run(cgroups, "echo ready; while :; do :; done");
        inside.wait_for_line();
        cgroups.freeze(&group.path).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !is_stopped(&inside) {
            assert!(Instant::now() < deadline, "it runs on");
        }
        cgroups.thaw(&group.path).unwrap();
        cgroups.thaw(&group.path).unwrap();
        while is_stopped(&inside) {
            assert!(Instant::now() < deadline, "it does not go on");
        }
        let gone = group.path.child("never-made");
        assert_eq!(cgroups.freeze(&gone).unwrap_err().kind(), ErrorKind::NotFound);
        cgroups.thaw(&gone).unwrap();
    }

    #[test]
    fn a_group_stops_and_goes_on_with_v1() {
        freezes_and_thaws(&legacy());
    }

    #[test]
    fn a_group_stops_and_goes_on_with_v2() {
        freezes_and_thaws(&unified().cgroups);
    }
}
