//! The systemd cgroup manager: slices, scopes, limits in them, the monitor's place, and nothing left afterwards.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{LinuxContainerResources, NamespaceMode, UpdateContainerResourcesRequest};
use crio_testkit::{CgroupManager, Options, Runtime};
use crio_tests::workload::{limits, pod_namespaces};
use crio_tests::{Pod, Stage, until};

use crate::{directory, group_of, property, read, remains, stage};

const MIB: i64 = 1 << 20;

/// The processes of a pod's monitor, by the directory in their command line.
fn monitor(stage: &Stage, pod: &Pod) -> Result<i32> {
    let processes = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_it = |process: &i32| {
        let command = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let program = command.split(' ').next().unwrap_or_default();
        Path::new(program) == stage.node.path("bin/crio-conmon") && command.contains(&pod.id)
    };
    processes.into_iter().find(is_it).context("the pod's monitor does not run")
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_those_of_a_scope() -> Result<()> {
    let stage = stage(CgroupManager::Systemd).await?;
    let pod = stage.pod("limits").await?;
    let mut config = stage.shell("main", "sleep 1000");
    *limits(&mut config) = LinuxContainerResources {
        cpu_period: 100_000,
        cpu_quota: 50_000,
        cpu_shares: 512,
        memory_limit_in_bytes: 64 * MIB,
        unified: [("pids.max", "77"), ("memory.high", "50331648")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ..Default::default()
    };
    let id = stage.start(&pod, &config).await?;
    let scope = format!("crio-{id}.scope");
    let group = stage.node.container_cgroup("limits", &id);
    assert!(group.ends_with(&format!("-limits.slice/{scope}")), "{group}");
    assert_eq!(property(&scope, "ControlGroup")?, group, "systemd and cAdvisor see the same");
    let process = stage.process(&id).await?;
    assert!(group_of(process)?.starts_with(&group), "{} is not in {group}", group_of(process)?);
    assert_eq!(read(&group, "memory.max")?, (64 * MIB).to_string());
    assert_eq!(read(&group, "memory.high")?, "50331648");
    assert_eq!(read(&group, "cpu.max")?, "50000 100000");
    assert_eq!(read(&group, "pids.max")?, "77");
    let weight = read(&group, "cpu.weight")?;
    assert_ne!(weight, "100", "512 shares are not the default");

    let change = LinuxContainerResources {
        cpu_quota: 20_000,
        cpu_period: 100_000,
        cpu_shares: 2048,
        memory_limit_in_bytes: 96 * MIB,
        ..Default::default()
    };
    let request =
        UpdateContainerResourcesRequest { container_id: id.clone(), linux: Some(change), ..Default::default() };
    stage.cri.runtime().update_container_resources(request).await?;
    assert_eq!(read(&group, "memory.max")?, (96 * MIB).to_string());
    assert_eq!(read(&group, "cpu.max")?, "20000 100000");
    assert_ne!(read(&group, "cpu.weight")?, weight);
    assert_eq!(property(&scope, "MemoryMax")?, (96 * MIB).to_string(), "systemd does not put the old limit back");
    stage.close().await?;
    assert_eq!(remains(&[&id, &pod.id])?, Vec::<String>::new());
    Ok(())
}

/// What was there, and that it is gone after the pod.
async fn comes_and_goes(stage: Stage, shares_processes: bool, monitor_slice: Option<&str>) -> Result<()> {
    let mut config = stage.node.pod("places");
    if shares_processes {
        pod_namespaces(&mut config).pid = NamespaceMode::Pod.into();
    }
    let slice = config.linux.as_ref().map(|linux| linux.cgroup_parent.clone()).unwrap_or_default();
    let pod = stage.pod_of(config).await?;
    let own = stage.node.container_cgroup("places", &pod.id);
    assert!(directory(&own).is_dir(), "cAdvisor finds pods by {own}");
    assert_eq!(
        !read(&own, "cgroup.events")?.contains("populated 0"),
        shares_processes,
        "a pause container lives in it"
    );
    let monitors = monitor_slice
        .map_or_else(|| own.rsplit_once('/').map_or("", |(slice, _)| slice).to_owned(), |slice| format!("/{slice}"));
    assert_eq!(group_of(monitor(&stage, &pod)?)?, format!("{monitors}/crio-conmon-{}.scope", pod.id));

    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let scope = format!("crio-{id}.scope");
    assert_eq!(property(&scope, "Slice")?, slice);
    assert_eq!(property(&scope, "ActiveState")?, "active");
    stage.cri.stop(&id, std::time::Duration::ZERO).await?;
    until(
        "systemd has forgotten the scope",
        async || Ok((property(&scope, "LoadState")? == "not-found").then_some(())),
    )
    .await?;
    stage.cri.stop_pod(&pod.id).await?;
    stage.cri.remove_pod(&pod.id).await?;
    until("nothing is left", async || Ok(remains(&[&id, &pod.id])?.is_empty().then_some(()))).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_a_pod_come_and_go() -> Result<()> {
    Box::pin(comes_and_goes(stage(CgroupManager::Systemd).await?, false, Some("system.slice"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_a_pod_with_a_pause_container_come_and_go() -> Result<()> {
    Box::pin(comes_and_goes(stage(CgroupManager::Systemd).await?, true, Some("system.slice"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_goes_where_the_configuration_says() -> Result<()> {
    let handler = Runtime::from_environment().name();
    for (place, slice) in [("pod", None), ("monitors.slice", Some("monitors.slice"))] {
        let crio_conf = format!("[crio.runtime.runtimes.{handler}]\nmonitor_cgroup = {place:?}\n");
        let options = Options { cgroup_manager: Some(CgroupManager::Systemd), crio_conf, ..Options::default() };
        Box::pin(comes_and_goes(Stage::set_with(options).await?, false, slice)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_finds_scopes_again() -> Result<()> {
    let mut stage = stage(CgroupManager::Systemd).await?;
    let pod = stage.pod("again").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    stage.crash().await?;
    assert_eq!(stage.exec(&id, "echo alive").await?, "alive\n");
    assert!(
        stage.cri.stats(&id).await?.memory.is_some_and(|memory| memory.usage_bytes.is_some_and(|used| used.value > 0))
    );
    stage.close().await?;
    assert_eq!(remains(&[&id, &pod.id])?, Vec::<String>::new());
    Ok(())
}
