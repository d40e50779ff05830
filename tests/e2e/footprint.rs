//! What a pod costs the node beside its own processes.

use anyhow::{Context as _, Result};
use crio_tests::{PATIENCE, Stage, monitor_of};
use rustix::process::Pid;

/// What a monitor may hold that no other process shares: one mebibyte.
const MONITOR_PRIVATE_KIB: u64 = 1024;

/// The pages that only this process holds, in KiB.
fn private_kib(pid: Pid) -> Result<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero()))?;
    let figure = |name: &str| -> Result<u64> {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name)).context("a figure")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    Ok(figure("Private_Clean:")? + figure("Private_Dirty:")?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_alone_on_its_node_holds_less_than_a_mebibyte() -> Result<()> {
    let stage = Stage::set_alone().await?;
    let pod = stage.pod("small").await?;
    let monitor = monitor_of(&pod.id)?;
    let id = stage.start(&pod, &stage.shell("main", "while :; do echo a line of output; sleep 0.1; done")).await?;
    for _ in 0..5 {
        stage.cri.exec(&id, &["true"], PATIENCE).await?;
    }
    let held = private_kib(monitor)?;
    assert!(held > 0 && held <= MONITOR_PRIVATE_KIB, "the monitor holds {held} KiB of its own");
    stage.close().await
}
