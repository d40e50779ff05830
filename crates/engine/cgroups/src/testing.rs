//! Real groups for the tests: on the host's v1 hierarchies, and on a v2 hierarchy mounted in a temporary directory.
//!
//! Everything made here is removed when its value is dropped.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{CgroupPath, Cgroups, Config, Driver};

/// How long a test waits for what should take milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The host's own hierarchies.
pub(crate) fn legacy() -> Cgroups {
    let config = Config { driver: Driver::Cgroupfs, root: None };
    Cgroups::detect(&config).expect("this machine has control groups")
}

/// A v2 hierarchy in a temporary directory. Its controllers are those that no v1 hierarchy holds.
pub(crate) struct Unified {
    pub(crate) cgroups: Cgroups,
    directory: tempfile::TempDir,
}

pub(crate) fn unified() -> Unified {
    let directory = tempfile::tempdir().unwrap();
    let none: Option<&std::ffi::CStr> = None;
    rustix::mount::mount("none", directory.path(), "cgroup2", rustix::mount::MountFlags::empty(), none).unwrap();
    let config = Config { driver: Driver::Cgroupfs, root: Some(directory.path().to_owned()) };
    let cgroups = Cgroups::detect(&config).unwrap();
    Unified { cgroups, directory }
}

impl Drop for Unified {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.directory.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

/// A group below one of this test process's own.
pub(crate) struct Group<'a> {
    cgroups: &'a Cgroups,
    pub(crate) path: CgroupPath,
}

impl<'a> Group<'a> {
    pub(crate) fn create(cgroups: &'a Cgroups, name: &str) -> Self {
        static SERIAL: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = CgroupPath::parse(&format!("/crio-rs-test-{}-{serial}-{name}", std::process::id())).unwrap();
        cgroups.create(&path).unwrap();
        Self { cgroups, path }
    }

    /// A group inside this one.
    pub(crate) fn inside(&self, name: &str) -> Self {
        let path = self.path.child(name);
        self.cgroups.create(&path).unwrap();
        Self { cgroups: self.cgroups, path }
    }

    /// Runs a shell script inside the group.
    pub(crate) fn run(&self, cgroups: &Cgroups, script: &str) -> Inside {
        let joins: String = cgroups
            .membership_files(&self.path)
            .iter()
            .map(|file| format!("echo $$ > {} && ", file.display()))
            .collect();
        let child = Command::new("/bin/sh")
            .args(["-c", &format!("{joins} exec /bin/sh -c '{script}'")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Inside(child)
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        let killed = self.cgroups.kill(&self.path, PATIENCE);
        let removed = self.cgroups.remove(&self.path, PATIENCE);
        if !std::thread::panicking() {
            killed.unwrap();
            removed.unwrap();
        }
    }
}

/// A process in a group; killed and reaped when dropped.
pub(crate) struct Inside(pub(crate) Child);

impl Inside {
    pub(crate) fn wait_for_line(&mut self) {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes a file of a group in one hierarchy.
pub(crate) fn write(directory: &Path, file: &str, text: &str) {
    std::fs::write(directory.join(file), text).unwrap();
}
