//! What a daemon costs, as the kernel counts it.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use crio_tests::{Stage, until};

/// How much more memory a daemon may hold when everything is over. Allocators keep pages, a set for each thread: what tests
/// here make a daemon handle is ten times as much and more.
const MARGIN_KIB: u64 = 16 << 10;

/// A daemon at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    resident_kib: u64,
    descriptors: usize,
    children: usize,
}

impl Footprint {
    /// The daemon of a node, now.
    pub(crate) fn of(stage: &Stage) -> Result<Self> {
        let process = format!("/proc/{}", stage.node.daemon_pid()?);
        let status = fs::read_to_string(format!("{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let resident_kib = resident.trim().trim_end_matches("kB").trim().parse()?;
        let descriptors = fs::read_dir(format!("{process}/fd"))?.count();
        let mut children = 0;
        for task in fs::read_dir(format!("{process}/task"))? {
            // A thread may have ended since.
            let of_task = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
            children += of_task.split_ascii_whitespace().count();
        }
        Ok(Self { resident_kib, descriptors, children })
    }

    /// Waits until the daemon costs no more than this.
    pub(crate) async fn comes_back(&self, stage: &Stage) -> Result<()> {
        let mut last = *self;
        let settled = until("the daemon is as before", async || {
            last = Self::of(stage)?;
            let is_small = last.resident_kib <= self.resident_kib + MARGIN_KIB;
            let is_clean = last.descriptors <= self.descriptors && last.children <= self.children;
            Ok((is_small && is_clean).then_some(()))
        });
        settled.await.with_context(|| format!("{self:?} has become {last:?}"))?;
        println!("before {self:?}, after {last:?}");
        Ok(())
    }

    /// Fails when the daemon has grown by more than `kib` in the middle of something.
    pub(crate) fn has_grown_less_than(&self, kib: u64, stage: &Stage) -> Result<()> {
        let now = Self::of(stage)?;
        ensure!(now.resident_kib <= self.resident_kib + kib, "{self:?} has become {now:?}");
        Ok(())
    }
}
