//! Limits of a container or a pod.

use serde::{Deserialize, Serialize};

use crate::Labels;

/// A limit for one huge page size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HugepageLimit {
    /// The page size as the kernel spells it, such as `2MB`.
    pub page_size: String,
    /// Bytes.
    pub limit_bytes: u64,
}

/// Limits (CRI `LinuxContainerResources`). Zero and empty mean *not set*: keep the default, or on an update keep what is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resources {
    /// CFS period in microseconds.
    pub cpu_period_us: i64,
    /// CFS quota in microseconds a period; −1 is unlimited.
    pub cpu_quota_us: i64,
    /// Relative weight, in cgroup v1 shares.
    pub cpu_shares: i64,
    /// Memory limit in bytes; −1 is unlimited.
    pub memory_limit_bytes: i64,
    /// Limit of memory and swap together in bytes; −1 is unlimited.
    pub memory_swap_limit_bytes: i64,
    /// Adjustment of the OOM killer's score, −1000 to 1000.
    pub oom_score_adj: i64,
    /// CPUs allowed, as the kernel spells a list.
    pub cpuset_cpus: String,
    /// Memory nodes allowed.
    pub cpuset_mems: String,
    /// Huge page limits.
    pub hugepage_limits: Vec<HugepageLimit>,
    /// cgroup v2 files to write, by file name.
    pub unified: Labels,
}

impl Resources {
    /// These limits after an update: fields `update` leaves unset keep their value, and a `unified` key replaces its like.
    ///
    /// The swap limit counts memory, too. One that the update leaves alone and that the new memory limit would pass goes up
    /// with it: the container keeps no swap rather than that its memory cannot grow.
    #[must_use]
    pub fn updated(&self, update: &Self) -> Self {
        let mut updated = self.merged(update);
        let (memory, swap) = (updated.memory_limit_bytes, updated.memory_swap_limit_bytes);
        if update.memory_swap_limit_bytes == 0 && swap > 0 && (memory < 0 || memory > swap) {
            updated.memory_swap_limit_bytes = memory;
        }
        updated
    }

    fn merged(&self, update: &Self) -> Self {
        let number = |new: i64, old: i64| if new == 0 { old } else { new };
        let text = |new: &String, old: &String| if new.is_empty() { old.clone() } else { new.clone() };
        let mut unified = self.unified.clone();
        unified.extend(update.unified.clone());
        Self {
            cpu_period_us: number(update.cpu_period_us, self.cpu_period_us),
            cpu_quota_us: number(update.cpu_quota_us, self.cpu_quota_us),
            cpu_shares: number(update.cpu_shares, self.cpu_shares),
            memory_limit_bytes: number(update.memory_limit_bytes, self.memory_limit_bytes),
            memory_swap_limit_bytes: number(update.memory_swap_limit_bytes, self.memory_swap_limit_bytes),
            oom_score_adj: number(update.oom_score_adj, self.oom_score_adj),
            cpuset_cpus: text(&update.cpuset_cpus, &self.cpuset_cpus),
            cpuset_mems: text(&update.cpuset_mems, &self.cpuset_mems),
            hugepage_limits: if update.hugepage_limits.is_empty() {
                self.hugepage_limits.clone()
            } else {
                update.hugepage_limits.clone()
            },
            unified,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_changes_only_what_it_sets() {
        let before = Resources { cpu_shares: 512, memory_limit_bytes: 64 << 20, ..Resources::default() };
        let after = before.updated(&Resources { memory_limit_bytes: 128 << 20, ..Resources::default() });
        assert_eq!(after.cpu_shares, 512);
        assert_eq!(after.memory_limit_bytes, 128 << 20);
    }

    #[test]
    fn a_swap_limit_is_never_below_memory() {
        const MIB: i64 = 1 << 20;
        for ((memory, swap), (new_memory, new_swap), expected) in [
            ((64, 96), (80, 0), (80, 96)),
            ((64, 96), (128, 0), (128, 128)),
            ((64, 96), (-1, 0), (-1, -1)),
            ((64, 0), (128, 0), (128, 0)),
            ((64, -1), (128, 0), (128, -1)),
            ((64, 96), (128, 160), (128, 160)),
            ((64, 96), (0, 128), (64, 128)),
            ((64, 96), (0, 0), (64, 96)),
        ] {
            let size = |mib: i64| if mib > 0 { mib * MIB } else { mib };
            let limits = |memory, swap| Resources {
                memory_limit_bytes: size(memory),
                memory_swap_limit_bytes: size(swap),
                ..Resources::default()
            };
            let after = limits(memory, swap).updated(&limits(new_memory, new_swap));
            assert_eq!(after, limits(expected.0, expected.1), "{memory} {swap} {new_memory} {new_swap}");
        }
    }
}
