//! The monitor with real runtimes: crun and runc run busybox, and the daemon's side is the real client.
//!
//! Needs root, crun, runc and a static busybox. Monitors are started through a wrapper that gives them a mount
//! namespace of their own, in which the unified cgroup hierarchy is covered: crun refuses a hybrid layout otherwise, and
//! nothing of the host is touched. What a test makes it removes, whether it passes or not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attach;
mod exec;
mod faults;
mod life;
mod logs;
mod resources;
mod support;
