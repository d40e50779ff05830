//! Limits: in the kernel's own files, in the status, and changed while a container runs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{
    HugepageLimit, LinuxContainerResources, PodSandboxStatusRequest, UpdateContainerResourcesRequest,
    UpdatePodSandboxResourcesRequest,
};
use crio_testkit::Options;
use crio_tests::workload::limits;
use crio_tests::{Stage, refused};
use tonic::Code;

const MIB: i64 = 1 << 20;

/// A container whose limits are looked at.
struct Limited {
    process: i32,
    /// Its group, as the kernel names it.
    cgroup: String,
}

impl Limited {
    async fn find(stage: &Stage, pod: &str, id: &str) -> Result<Self> {
        Ok(Self { process: stage.process(id).await?, cgroup: stage.node.container_cgroup(pod, id) })
    }

    /// Reads a limit: a file of a v1 controller, or its like on a v2 machine. The process is in the group or, where a runtime
    /// makes one inside it for itself, below it.
    fn read(&self, controller: &str, v1: &str, v2: &str) -> Result<String> {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", self.process))?;
        let is_in = |group: &str| group == self.cgroup || group.starts_with(&format!("{}/", self.cgroup));
        let hierarchy = groups.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, group) = rest.split_once(':')?;
            is_in(group).then_some(())?;
            let is_it = controllers.split(',').any(|name| name == controller);
            is_it.then_some((controller, v1)).or_else(|| controllers.is_empty().then_some(("", v2)))
        });
        let (hierarchy, name) = hierarchy.with_context(|| format!("the process is in {}: {groups}", self.cgroup))?;
        let root = PathBuf::from("/sys/fs/cgroup").join(hierarchy);
        let file = root.join(self.cgroup.trim_start_matches('/')).join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(text.trim().to_owned())
    }
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
    let limited = Limited::find(&stage, "limits", &id).await?;
    assert_eq!(limited.read("memory", "memory.limit_in_bytes", "memory.max")?, (64 * MIB).to_string());
    assert!(["50000", "50000 100000"].contains(&limited.read("cpu", "cpu.cfs_quota_us", "cpu.max")?.as_str()));
    assert_eq!(limited.read("cpuset", "cpuset.cpus", "cpuset.cpus")?, "0");
    assert_eq!(fs::read_to_string(format!("/proc/{}/oom_score_adj", limited.process))?.trim(), "500");
    let shown = stage.cri.status(&id).await?.resources.and_then(|resources| resources.linux).context("limits")?;
    assert_eq!((shown.memory_limit_in_bytes, shown.cpu_quota, shown.cpu_shares), (64 * MIB, 50_000, 512));

    let change = LinuxContainerResources { cpu_quota: 20_000, memory_limit_in_bytes: 96 * MIB, ..Default::default() };
    update(&stage, &id, change).await?;
    assert_eq!(limited.read("memory", "memory.limit_in_bytes", "memory.max")?, (96 * MIB).to_string());
    assert!(["20000", "20000 100000"].contains(&limited.read("cpu", "cpu.cfs_quota_us", "cpu.max")?.as_str()));
    let shown = stage.cri.status(&id).await?.resources.and_then(|resources| resources.linux).context("limits")?;
    assert_eq!((shown.memory_limit_in_bytes, shown.cpu_quota), (96 * MIB, 20_000));
    assert_eq!((shown.cpu_shares, shown.cpu_period), (512, 100_000), "what is not named stays");

    let too_little = LinuxContainerResources { memory_limit_in_bytes: 4096, ..Default::default() };
    assert!(update(&stage, &id, too_little).await.is_err(), "less than is in use");
    assert_eq!(limited.read("memory", "memory.limit_in_bytes", "memory.max")?, (96 * MIB).to_string());
    stage.close().await
}

async fn update(stage: &Stage, id: &str, limits: LinuxContainerResources) -> Result<(), tonic::Status> {
    let request =
        UpdateContainerResourcesRequest { container_id: id.to_owned(), linux: Some(limits), ..Default::default() };
    stage.cri.runtime().update_container_resources(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_can_be_changed_and_a_failed_change_changes_nothing() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("changed").await?;
    let mut config = stage.shell("main", "sleep 1000 & wait");
    *limits(&mut config) = LinuxContainerResources { memory_swap_limit_in_bytes: 80 * MIB, ..wanted() };
    let id = stage.start(&pod, &config).await?;
    let process = stage.process(&id).await?;
    let limited = Limited::find(&stage, "changed", &id).await?;
    let memory = || limited.read("memory", "memory.limit_in_bytes", "memory.max");
    let score =
        || Ok::<_, anyhow::Error>(fs::read_to_string(format!("/proc/{process}/oom_score_adj"))?.trim().to_owned());

    // Beyond the limit of memory and swap together, which goes up with it.
    let change = LinuxContainerResources { memory_limit_in_bytes: 128 * MIB, oom_score_adj: 700, ..Default::default() };
    update(&stage, &id, change).await?;
    assert_eq!((memory()?, score()?), ((128 * MIB).to_string(), "700".to_owned()));
    let shown = shown(&stage, &id).await?;
    assert_eq!((shown.memory_limit_in_bytes, shown.memory_swap_limit_in_bytes), (128 * MIB, 128 * MIB));
    assert_eq!((shown.oom_score_adj, shown.cpu_quota, shown.cpuset_cpus.as_str()), (700, 50_000, "0"));

    let impossible = LinuxContainerResources {
        memory_limit_in_bytes: 256 * MIB,
        cpu_quota: 10_000,
        oom_score_adj: 900,
        cpuset_cpus: "4000".to_owned(),
        ..Default::default()
    };
    assert!(update(&stage, &id, impossible).await.is_err(), "there is no such processor");
    assert_eq!((memory()?, score()?), ((128 * MIB).to_string(), "700".to_owned()));
    assert!(["50000", "50000 100000"].contains(&limited.read("cpu", "cpu.cfs_quota_us", "cpu.max")?.as_str()));
    assert_eq!(self::shown(&stage, &id).await?, shown, "what is told is as before, too");

    let below = LinuxContainerResources {
        memory_limit_in_bytes: 96 * MIB,
        memory_swap_limit_in_bytes: 64 * MIB,
        ..Default::default()
    };
    refused(update(&stage, &id, below).await, Code::InvalidArgument, &["swap"])?;
    let unknown = update(&stage, &"0".repeat(64), wanted()).await;
    refused(unknown, Code::NotFound, &["not found"])?;

    // Changes made at once take turns, and all of them are in the end.
    let cri = &stage.cri;
    let one = |limits: LinuxContainerResources| {
        let request =
            UpdateContainerResourcesRequest { container_id: id.clone(), linux: Some(limits), ..Default::default() };
        let mut runtime = cri.runtime();
        async move { runtime.update_container_resources(request).await }
    };
    let (first, second) = tokio::join!(
        one(LinuxContainerResources { cpu_shares: 300, ..Default::default() }),
        one(LinuxContainerResources { memory_limit_in_bytes: 160 * MIB, ..Default::default() }),
    );
    first?;
    second?;
    let both = self::shown(&stage, &id).await?;
    assert_eq!((both.cpu_shares, both.memory_limit_in_bytes), (300, 160 * MIB));
    stage.close().await
}

async fn shown(stage: &Stage, id: &str) -> Result<LinuxContainerResources> {
    stage.cri.status(id).await?.resources.and_then(|resources| resources.linux).context("limits")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pod_may_use_is_noted_and_outlives_the_daemon() -> Result<()> {
    let mut stage = Stage::set().await?;
    let pod = stage.pod("whole").await?;
    let limits = |memory_limit_in_bytes| Some(LinuxContainerResources { memory_limit_in_bytes, ..Default::default() });
    let request = |id: &str, overhead, resources| UpdatePodSandboxResourcesRequest {
        pod_sandbox_id: id.to_owned(),
        overhead,
        resources,
    };
    let mut runtime = stage.cri.runtime();
    runtime.update_pod_sandbox_resources(request(&pod.id, limits(8 * MIB), limits(64 * MIB))).await?;
    runtime.update_pod_sandbox_resources(request(&pod.id, None, limits(96 * MIB))).await?;
    let unknown = runtime.update_pod_sandbox_resources(request(&"0".repeat(64), None, limits(MIB))).await;
    refused(unknown, Code::NotFound, &["not found"])?;
    let bad = LinuxContainerResources { cpu_shares: -1, ..Default::default() };
    let refusal = runtime.update_pod_sandbox_resources(request(&pod.id, None, Some(bad))).await;
    refused(refusal, Code::InvalidArgument, &["resources.cpu_shares"])?;
    drop(runtime);

    stage.crash().await?;
    let request = PodSandboxStatusRequest { pod_sandbox_id: pod.id.clone(), verbose: true };
    let answer = stage.cri.runtime().pod_sandbox_status(request).await?.into_inner();
    let info: serde_json::Value = serde_json::from_str(&answer.info["info"])?;
    assert_eq!(info["overhead"]["memory_limit_bytes"], 8 * MIB, "{info}");
    assert_eq!(info["resources"]["memory_limit_bytes"], 96 * MIB, "{info}");
    assert_eq!(stage.cri.run_pod(&pod.config).await?, pod.id, "a retry still finds its pod");
    stage.close().await
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
async fn limits_of_processes_are_the_configured_ones() -> Result<()> {
    let crio_conf = "[crio.runtime]\ndefault_ulimits = [\"nofile=512:1024\", \"core=0:0\"]\n".to_owned();
    let stage = Stage::set_with(Options { crio_conf, ..Options::default() }).await?;
    let pod = stage.pod("processes").await?;
    let script = "ulimit -Sn; ulimit -Hn; ulimit -c; sleep 1000";
    let id = stage.start(&pod, &stage.shell("main", script)).await?;
    assert_eq!(stage.exec(&id, "ulimit -Sn; ulimit -Hn; ulimit -c").await?, "512\n1024\n0\n");
    let process = fs::read_to_string(format!("/proc/{}/limits", stage.process(&id).await?))?;
    let files = process.lines().find(|line| line.starts_with("Max open files")).context("a line")?;
    assert_eq!(files.split_whitespace().skip(3).collect::<Vec<_>>(), ["512", "1024", "files"]);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_cannot_limit_is_left_out() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("left-out").await?;
    let mut config = stage.shell("main", "sleep 1000");
    *limits(&mut config) = LinuxContainerResources {
        memory_limit_in_bytes: 64 * MIB,
        memory_swap_limit_in_bytes: 96 * MIB,
        oom_score_adj: -999,
        hugepage_limits: vec![HugepageLimit { page_size: "2MB".to_owned(), limit: 0 }],
        ..Default::default()
    };
    let id = stage.start(&pod, &config).await?;
    let process = stage.process(&id).await?;
    let own = fs::read_to_string("/proc/self/oom_score_adj")?.trim().parse::<i64>()?;
    let status = fs::read_to_string("/proc/self/status")?;
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).context("a mask")?;
    let may_lower = u64::from_str_radix(capabilities.trim(), 16)? & (1 << 24) != 0;
    let score = fs::read_to_string(format!("/proc/{process}/oom_score_adj"))?;
    assert_eq!(score.trim().parse::<i64>()?, if may_lower { -999 } else { own });
    assert_eq!(stage.node.log().contains("without CAP_SYS_RESOURCE"), !may_lower, "it is said once, at the start");
    let group = Limited::find(&stage, "left-out", &id).await?;
    assert_eq!(group.read("memory", "memory.limit_in_bytes", "memory.max")?, (64 * MIB).to_string());
    if let Ok(swap) = group.read("memory", "memory.memsw.limit_in_bytes", "memory.swap.max") {
        assert!([(96 * MIB).to_string(), (32 * MIB).to_string()].contains(&swap), "{swap}");
    }
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
    let limited = Limited::find(&stage, "late", &created).await?;
    assert_eq!(limited.read("memory", "memory.limit_in_bytes", "memory.max")?, (64 * MIB).to_string());
    stage.close().await
}
