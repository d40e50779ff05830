//! Processor time and memory of processes, from `/proc`.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Processor seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub(crate) struct CpuSeconds {
    /// Of the daemon itself.
    pub(crate) daemon: f64,
    /// Of the daemon's children that ended.
    pub(crate) children: f64,
    /// Of the monitors and of their children that ended.
    pub(crate) monitors: f64,
    /// Of the whole machine, this program included.
    pub(crate) machine: f64,
}

impl CpuSeconds {
    /// What was used since `earlier`. Monitors that ended in between count with what they had left: nothing.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            daemon: self.daemon - earlier.daemon,
            children: self.children - earlier.children,
            monitors: (self.monitors - earlier.monitors).max(0.0),
            machine: self.machine - earlier.machine,
        }
    }
}

/// The processes that are watched.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    /// The daemon.
    pub(crate) daemon: u32,
    /// How the names of its monitors begin.
    pub(crate) monitor_name: String,
}

impl Watched {
    /// The monitors that run now.
    pub(crate) fn monitors(&self) -> Result<BTreeSet<u32>> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir("/proc").context("reading /proc")? {
            let name = entry.context("reading /proc")?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // A process may be gone by now, or be a thread of the kernel without arguments.
            let Ok(arguments) = fs::read(format!("/proc/{pid}/cmdline")) else {
                continue;
            };
            if is_named(&arguments, &self.monitor_name) {
                found.insert(pid);
            }
        }
        Ok(found)
    }

    /// Processor time used so far.
    pub(crate) fn cpu(&self) -> Result<CpuSeconds> {
        let (daemon, children) = cpu_of(self.daemon)?;
        let monitors = self.monitors()?.into_iter().filter_map(|pid| cpu_of(pid).ok());
        Ok(CpuSeconds {
            daemon,
            children,
            monitors: monitors.map(|(own, children)| own + children).sum(),
            machine: machine_cpu()?,
        })
    }

    /// Processor time of the daemon's threads in nanoseconds, finer than [`Watched::cpu`].
    pub(crate) fn daemon_cpu_ns(&self) -> Result<u64> {
        let tasks = format!("/proc/{}/task", self.daemon);
        let mut total = 0;
        for entry in fs::read_dir(&tasks).with_context(|| format!("reading {tasks}"))? {
            let path = entry.with_context(|| format!("reading {tasks}"))?.path().join("schedstat");
            // A thread may be gone by now.
            let Ok(text) = fs::read_to_string(path) else { continue };
            total += text.split_whitespace().next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(total)
    }
}

/// Whether the program's file name, from its arguments, begins like this.
fn is_named(arguments: &[u8], beginning: &str) -> bool {
    let program = arguments.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name.starts_with(beginning.as_bytes())
}

/// Proportional set size in bytes.
pub(crate) fn pss_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    pss_of(&text).with_context(|| format!("{path} has no Pss line"))
}

fn pss_of(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Seconds of the process itself and of its children that ended.
fn cpu_of(pid: u32) -> Result<(f64, f64)> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    ticks_of(&text).map(|(own, children)| (seconds(own), seconds(children))).with_context(|| format!("parsing {path}"))
}

/// Fields 14 to 17; the name, which may hold anything, ends with the last parenthesis.
fn ticks_of(stat: &str) -> Option<(u64, u64)> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_name.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    let (user, system, child_user, child_system) = (next()?, next()?, next()?, next()?);
    Some((user + system, child_user + child_system))
}

/// Seconds that the machine's processors were not idle.
fn machine_cpu() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    busy_ticks(&text).map(seconds).context("parsing /proc/stat")
}

/// user, nice, system, irq, softirq and steal; guest time is part of user.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let (idle, iowait) = (fields.get(3)?, fields.get(4)?);
    Some(fields.iter().take(8).sum::<u64>() - idle - iowait)
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a benchmark are far below 2^52 ticks")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let stat = "42 (a) b) c) S 1 42 42 0 -1 4194560 100 0 0 0 11 22 33 44 20 0 9 0 1 2 3";
        assert_eq!(ticks_of(stat), Some((33, 77)));
        assert_eq!(ticks_of("42 (x"), None);
        assert_eq!(pss_of("5555-7fff ---p [rollup]\nRss: 10 kB\nPss:   7 kB\nPss_Dirty: 1 kB\n"), Some(7168));
        assert_eq!(busy_ticks("cpu  1 2 3 100 50 4 5 6 7 8\ncpu0 1\n"), Some(21));
        assert!(is_named(b"/usr/bin/crio-conmon\0--x\0", "crio-conmon"));
        assert!(is_named(b"containerd-shim-runc-v2\0", "containerd-shim"));
        assert!(!is_named(b"/usr/bin/crio\0crio-conmon\0", "crio-conmon"));
        assert!(!is_named(b"", "crio-conmon"));
    }

    #[test]
    fn this_process_can_be_watched() {
        let watched = Watched { daemon: std::process::id(), monitor_name: "crio-conmon".to_owned() };
        assert!(watched.cpu().expect("own stat").machine > 0.0);
        assert!(watched.daemon_cpu_ns().expect("own tasks") > 0);
        assert!(pss_bytes(watched.daemon).expect("own memory") > 0);
    }
}
