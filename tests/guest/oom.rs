//! Containers that need more memory than they may have: the kernel kills, and the status says so.

use anyhow::Result;
use crio_cri_api::v1::ContainerConfig;
use crio_testkit::CgroupManager;
use crio_tests::Stage;
use crio_tests::workload::limits;

use crate::stage;

const LIMIT: i64 = 15 << 20;
/// More in one piece than the limit.
const OVERUSE: &str = "dd if=/dev/zero of=/dev/null bs=20M count=1";
/// A scope goes away as soon as it is empty, and with it the evidence: one lucky reading is not enough.
const ROUNDS: u32 = 8;

fn limited(stage: &Stage, name: &str, script: &str) -> ContainerConfig {
    let mut config = stage.shell(name, script);
    limits(&mut config).memory_limit_in_bytes = LIMIT;
    limits(&mut config).memory_swap_limit_in_bytes = LIMIT;
    config
}

async fn kills_are_told(manager: CgroupManager) -> Result<()> {
    let stage = stage(manager).await?;
    let pod = stage.pod("memory").await?;
    let first = format!("exec {OVERUSE}");
    let child = format!("{OVERUSE}; exit $?");
    let last = format!("true && {OVERUSE}");
    for (name, script) in [("first", &first), ("child", &child), ("last", &last)] {
        let ended = stage.finish(&pod, &limited(&stage, name, script)).await?;
        assert_eq!((ended.status.reason.as_str(), ended.status.exit_code), ("OOMKilled", 137), "{name}: {ended:?}");
    }
    for round in 0..ROUNDS {
        let ended = stage.finish(&pod, &limited(&stage, &format!("round{round}"), &first)).await?;
        assert_eq!((ended.status.reason.as_str(), ended.status.exit_code), ("OOMKilled", 137), "{round}: {ended:?}");
    }

    // As kubelet has it by default: one process over the limit takes the whole container with it.
    let mut config = limited(&stage, "group", &format!("{OVERUSE} & sleep 1000"));
    limits(&mut config).unified.insert("memory.oom.group".to_owned(), "1".to_owned());
    let ended = stage.finish(&pod, &config).await?;
    assert_eq!((ended.status.reason.as_str(), ended.status.exit_code), ("OOMKilled", 137), "{ended:?}");

    for (name, script, reason) in [("code", "exit 137", "Error"), ("fine", "exit 0", "Completed")] {
        let ended = stage.finish(&pod, &limited(&stage, name, script)).await?;
        assert_eq!(ended.status.reason, reason, "{name}: {ended:?}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_are_told_with_cgroupfs() -> Result<()> {
    Box::pin(kills_are_told(CgroupManager::Cgroupfs)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_are_told_with_systemd() -> Result<()> {
    Box::pin(kills_are_told(CgroupManager::Systemd)).await
}
