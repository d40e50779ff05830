//! What the verbose parts of statuses tell, and that handlers tell of what their runtime can do.

use std::process::Command;

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{LinuxContainerResources, PodSandboxStatusRequest, StatusRequest};
use crio_testkit::{Runtime, request};
use crio_tests::Stage;
use crio_tests::workload::limits;
use serde_json::Value;

/// Whether the runtime itself says that it mounts read-only all the way down; one without `features` is not asked here.
fn runtime_says_recursive_read_only() -> Result<Option<bool>> {
    let output = Command::new(Runtime::from_environment().name()).arg("features").output()?;
    let Ok(features) = serde_json::from_slice::<Value>(&output.stdout) else {
        return Ok(None);
    };
    let options = features["mountOptions"].as_array().context("mount options")?;
    Ok(Some(options.iter().any(|option| option == "rro")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_can_do_what_its_runtime_can() -> Result<()> {
    let stage = Stage::set().await?;
    let status = stage.cri.runtime().status(StatusRequest { verbose: false }).await?.into_inner();
    assert!(status.info.is_empty(), "only a verbose status has them");
    let of = |name: &str| {
        let handler = status.runtime_handlers.iter().find(|handler| handler.name == name)?;
        handler.features
    };
    let named = of(Runtime::from_environment().name()).context("its features")?;
    assert_eq!(of(""), Some(named), "the default handler is there under both names");
    if let Some(expected) = runtime_says_recursive_read_only()? {
        assert_eq!(named.recursive_read_only_mounts, expected);
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn verbose_statuses_tell_of_processes_and_specifications() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("verbose").await?;
    let mut config = stage.shell("main", "sleep 1000");
    let wanted = LinuxContainerResources {
        cpu_period: 50_000,
        cpu_quota: 25_000,
        cpu_shares: 300,
        memory_limit_in_bytes: 64 << 20,
        memory_swap_limit_in_bytes: 96 << 20,
        oom_score_adj: 300,
        cpuset_cpus: "0".to_owned(),
        ..Default::default()
    };
    *limits(&mut config) = wanted.clone();
    let id = stage.cri.create(&pod.id, &pod.config, &config).await?;
    let shown = stage.cri.status(&id).await?.resources.and_then(|resources| resources.linux);
    assert_eq!(shown, Some(wanted), "before it is started, too");
    let other = stage.cri.create(&pod.id, &pod.config, &request::shell("other", &stage.busybox, "true")).await?;
    let shown = stage.cri.status(&other).await?.resources.and_then(|resources| resources.linux);
    assert!(shown.is_some(), "there are limits where none were asked for, and they say so");
    stage.cri.start(&id).await?;

    let info = stage.info(&id).await?;
    assert_eq!(
        (&info["sandboxID"], &info["privileged"]),
        (&Value::from(pod.id.as_str()), &Value::from(false)),
        "{info}"
    );
    let process = info["pid"].as_i64().context("a process")?;
    assert!(std::fs::read_to_string(format!("/proc/{process}/cmdline"))?.contains("sleep 1000"));
    let specified = &info["runtimeSpec"]["linux"]["resources"]["memory"];
    assert_eq!((&specified["limit"], &specified["swap"]), (&Value::from(64 << 20), &Value::from(96 << 20)), "{info}");

    let request = PodSandboxStatusRequest { pod_sandbox_id: pod.id.clone(), verbose: true };
    let answer = stage.cri.runtime().pod_sandbox_status(request).await?.into_inner();
    let info: Value = serde_json::from_str(answer.info.get("info").context("info")?)?;
    assert!(info["pid"].as_i64().is_some_and(|pid| pid > 0), "a process in the pod's network: {info}");
    assert!(info.get("runtimeSpec").is_some() && info.get("image").is_some(), "{info}");
    assert!(answer.containers_statuses.is_empty() && answer.timestamp == 0, "those come with events");
    stage.close().await
}
