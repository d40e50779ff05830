//! Limits: in the kernel's own files, in the status, and changed while a container runs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{LinuxContainerResources, UpdateContainerResourcesRequest};
use crio_tests::workload::limits;
use crio_tests::{Stage, refused};
use tonic::Code;

const MIB: i64 = 1 << 20;

/// Reads a limit of a process: a file of a v1 controller, or its like on a v2 machine.
fn limit(process: i32, controller: &str, v1: &str, v2: &str) -> Result<String> {
    let groups = fs::read_to_string(format!("/proc/{process}/cgroup"))?;
    let of_controller = groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let is_it = controllers.split(',').any(|name| name == controller);
        is_it.then(|| PathBuf::from("/sys/fs/cgroup").join(controller).join(path.trim_start_matches('/')).join(v1))
    });
    let unified = || {
        let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
        Some(PathBuf::from("/sys/fs/cgroup").join(path).join(v2))
    };
    let file = of_controller.or_else(unified).context("the process is in a group")?;
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.trim().to_owned())
}

fn wanted() -> LinuxContainerResources {
    LinuxContainerResources {
        cpu_period: 100_000,
        cpu_quota: 50_000,
        cpu_shares: 512,
        memory_limit_in_bytes: 64 * MIB,
        oom_score_adj: 500,
        cpuset_cpus: "0".to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_in_force_and_can_be_changed() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("limits").await?;
    let mut config = stage.shell("main", "sleep 1000");
    *limits(&mut config) = wanted();
    let id = stage.start(&pod, &config).await?;
    let process = stage.process(&id).await?;
    assert_eq!(limit(process, "memory", "memory.limit_in_bytes", "memory.max")?, (64 * MIB).to_string());
    assert!(["50000", "50000 100000"].contains(&limit(process, "cpu", "cpu.cfs_quota_us", "cpu.max")?.as_str()));
    assert_eq!(limit(process, "cpuset", "cpuset.cpus", "cpuset.cpus")?, "0");
    assert_eq!(fs::read_to_string(format!("/proc/{process}/oom_score_adj"))?.trim(), "500");
    let group = fs::read_to_string(format!("/proc/{process}/cgroup"))?;
    let expected = format!("{}/limits/crio-{id}", stage.node.cgroup_parent());
    assert!(group.contains(&expected), "{group}");
    let shown = stage.cri.status(&id).await?.resources.and_then(|resources| resources.linux).context("limits")?;
    assert_eq!((shown.memory_limit_in_bytes, shown.cpu_quota, shown.cpu_shares), (64 * MIB, 50_000, 512));

    let change = LinuxContainerResources { cpu_quota: 20_000, memory_limit_in_bytes: 96 * MIB, ..Default::default() };
    update(&stage, &id, change).await?;
    assert_eq!(limit(process, "memory", "memory.limit_in_bytes", "memory.max")?, (96 * MIB).to_string());
    assert!(["20000", "20000 100000"].contains(&limit(process, "cpu", "cpu.cfs_quota_us", "cpu.max")?.as_str()));
    let shown = stage.cri.status(&id).await?.resources.and_then(|resources| resources.linux).context("limits")?;
    assert_eq!((shown.memory_limit_in_bytes, shown.cpu_quota), (96 * MIB, 20_000));
    assert_eq!((shown.cpu_shares, shown.cpu_period), (512, 100_000), "what is not named stays");

    let too_little = LinuxContainerResources { memory_limit_in_bytes: 4096, ..Default::default() };
    assert!(update(&stage, &id, too_little).await.is_err(), "less than is in use");
    assert_eq!(limit(process, "memory", "memory.limit_in_bytes", "memory.max")?, (96 * MIB).to_string());
    stage.close().await
}

async fn update(stage: &Stage, id: &str, limits: LinuxContainerResources) -> Result<(), tonic::Status> {
    let request =
        UpdateContainerResourcesRequest { container_id: id.to_owned(), linux: Some(limits), ..Default::default() };
    stage.cri.runtime().update_container_resources(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_runs_out_of_memory_says_so() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("memory").await?;
    let mut config = stage.shell("main", "dd if=/dev/zero of=/dev/null bs=60M; exit $?");
    limits(&mut config).memory_limit_in_bytes = 20 * MIB;
    limits(&mut config).memory_swap_limit_in_bytes = 20 * MIB;
    let ended = stage.finish(&pod, &config).await?;
    assert_eq!((ended.status.reason.as_str(), ended.status.exit_code), ("OOMKilled", 137), "{ended:?}");

    let ended = stage.finish(&pod, &stage.shell("after", "exit 137")).await?;
    assert_eq!(ended.status.reason, "Error", "a code alone is no evidence");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_lives_can_be_changed() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("late").await?;
    let ended = stage.finish(&pod, &stage.shell("main", "exit 0")).await?;
    let answer = update(&stage, &ended.id, wanted()).await;
    refused(answer, Code::FailedPrecondition, &[&ended.id])?;

    let created = stage.cri.create(&pod.id, &pod.config, &stage.shell("created", "sleep 1000")).await?;
    update(&stage, &created, LinuxContainerResources { memory_limit_in_bytes: 64 * MIB, ..Default::default() }).await?;
    let process = stage.process(&created).await?;
    assert_eq!(limit(process, "memory", "memory.limit_in_bytes", "memory.max")?, (64 * MIB).to_string());
    stage.close().await
}
