//! Finding the monitor of a pod from outside.

use std::fs;

use anyhow::{Context as _, Result};
use rustix::process::Pid;

/// The monitor of a pod: the process of that name whose command line has the pod's id.
///
/// # Errors
/// There is none.
pub fn monitor_of(pod: &str) -> Result<Pid> {
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let command = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if command.contains("crio-conmon") && command.contains(pod) {
            return Pid::from_raw(pid).context("a process id");
        }
    }
    anyhow::bail!("pod {pod} has no monitor")
}
