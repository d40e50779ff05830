//! What cgroup v2 counts: processor, memory, pressure, of containers and of pods, under both managers.

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{CpuUsage, IoUsage, MemoryUsage};
use crio_testkit::CgroupManager;
use crio_tests::until;
use crio_tests::workload::limits;

use crate::stage;

const LIMIT: i64 = 64 << 20;

/// Whether everything that is used shows.
fn is_busy(cpu: Option<&CpuUsage>, memory: Option<&MemoryUsage>, io: Option<&IoUsage>) -> bool {
    let (Some(cpu), Some(memory), Some(io)) = (cpu, memory, io) else { return false };
    let waited = cpu.psi.as_ref().and_then(|psi| psi.some.as_ref()).is_some_and(|some| some.total > 0);
    let counted = [&cpu.usage_core_nano_seconds, &cpu.usage_nano_cores, &memory.usage_bytes, &memory.working_set_bytes]
        .into_iter()
        .chain([&memory.rss_bytes, &memory.page_faults])
        .all(|counter| counter.as_ref().is_some_and(|counter| counter.value > 0));
    counted && waited && memory.psi.is_some() && io.psi.is_some()
}

async fn use_is_counted(manager: CgroupManager) -> Result<()> {
    let stage = stage(manager).await?;
    let pod = stage.pod("busy").await?;
    // Two loops below half a processor wait for it, which is pressure.
    let mut config = stage.shell("main", "while :; do :; done & while :; do :; done");
    limits(&mut config).memory_limit_in_bytes = LIMIT;
    limits(&mut config).cpu_period = 100_000;
    limits(&mut config).cpu_quota = 50_000;
    let id = stage.start(&pod, &config).await?;
    let stats = until("the container's use is counted", async || {
        let stats = stage.cri.stats(&id).await?;
        Ok(is_busy(stats.cpu.as_ref(), stats.memory.as_ref(), stats.io.as_ref()).then_some(stats))
    })
    .await?;
    let memory = stats.memory.context("memory")?;
    let available = memory.available_bytes.context("what is available below a limit")?.value;
    let limit = u64::try_from(LIMIT)?;
    assert!(available > 0 && available < limit, "{available}");

    until("the pod's use is counted", async || {
        let whole = stage.cri.pod_stats(&pod.id).await?.linux.context("Linux")?;
        assert_eq!(whole.containers.len(), 1);
        let is_busy = is_busy(whole.cpu.as_ref(), whole.memory.as_ref(), whole.io.as_ref());
        let processes = whole.process.and_then(|process| process.process_count).map_or(0, |count| count.value);
        Ok((is_busy && processes >= 2).then_some(()))
    })
    .await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn use_is_counted_with_cgroupfs() -> Result<()> {
    Box::pin(use_is_counted(CgroupManager::Cgroupfs)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn use_is_counted_with_systemd() -> Result<()> {
    Box::pin(use_is_counted(CgroupManager::Systemd)).await
}
