//! Paths of `/proc` and `/sys` that containers do not see or cannot change.
//!
//! Kubelet sends both lists with every container; they are applied exactly as sent. The lists here are for
//! containers we make on our own account (the pause container) and for clients that want ours.

/// Hidden paths: the union of what CRI-O, containerd and the OCI runtimes hide.
pub const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Read-only paths.
pub const READONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// `paths` as owned strings.
#[must_use]
pub fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}
