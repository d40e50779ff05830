//! The daemon itself: version, health, settings, the inspection interface, its command line.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, ensure};
use crio_cri_api::v1::{
    CgroupDriver, ListPodSandboxMetricsRequest, ListPodSandboxStatsRequest, RuntimeConfigRequest, StatusRequest,
    UpdateRuntimeConfigRequest,
};
use crio_testkit::{CgroupManager, Options, Runtime};
use crio_tests::{Stage, until};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn it_says_who_it_is_and_how_it_fares() -> Result<()> {
    let stage = Stage::set().await?;
    let version = stage.cri.version().await?;
    assert_eq!((version.version.as_str(), version.runtime_api_version.as_str()), ("0.1.0", "v1"));
    assert_eq!(version.runtime_name, "cri-o");
    assert!(!version.runtime_version.is_empty());

    let status = stage.cri.runtime().status(StatusRequest { verbose: true }).await?.into_inner();
    let conditions = status.status.context("a status")?.conditions;
    for name in ["RuntimeReady", "NetworkReady"] {
        assert!(conditions.iter().any(|condition| condition.r#type == name && condition.status), "{conditions:?}");
    }
    let handlers: Vec<&str> = status.runtime_handlers.iter().map(|handler| handler.name.as_str()).collect();
    assert!(handlers.contains(&"") && handlers.contains(&Runtime::from_environment().name()), "{handlers:?}");
    assert!(status.features.is_some_and(|features| features.supplemental_groups_policy));
    let config: Value = serde_json::from_str(status.info.get("config").context("config")?)?;
    assert!(config["sandboxImage"].as_str().is_some_and(|image| image.contains("pause")), "{config}");

    let config = stage.cri.runtime().runtime_config(RuntimeConfigRequest {}).await?.into_inner();
    let driver = match CgroupManager::from_environment() {
        CgroupManager::Cgroupfs => CgroupDriver::Cgroupfs,
        CgroupManager::Systemd => CgroupDriver::Systemd,
    };
    assert_eq!(config.linux.context("linux")?.cgroup_driver(), driver);
    stage.cri.runtime().update_runtime_config(UpdateRuntimeConfigRequest::default()).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_appears_later_makes_it_ready() -> Result<()> {
    let stage = Stage::set().await?;
    let file = stage.node.path("cni/10-test.conflist");
    let text = std::fs::read(&file)?;
    std::fs::remove_file(&file)?;
    let reason = stage.network_is(false).await?;
    assert!(!reason.is_empty());
    std::fs::write(&file, text)?;
    stage.network_is(true).await?;
    stage.pod("works").await?;
    stage.close().await
}

/// One plain HTTP request on the CRI socket: status and body.
fn http(stage: &Stage, path: &str) -> Result<(u16, String)> {
    let mut stream = UnixStream::connect(stage.node.socket())?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an HTTP answer")?;
    let status = head.split(' ').nth(1).context("a status")?.parse()?;
    Ok((status, body.to_owned()))
}

fn json(stage: &Stage, path: &str) -> Result<Value> {
    let (status, body) = http(stage, path)?;
    ensure!(status == 200, "{path}: {status} {body}");
    Ok(serde_json::from_str(&body)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn cadvisor_can_look_around() -> Result<()> {
    let stage = Stage::set().await?;
    let info = json(&stage, "/info")?;
    assert_eq!(info["storage_driver"], "overlay");
    assert_eq!(info["cgroup_driver"], CgroupManager::from_environment().name());
    assert_eq!(info["storage_root"], stage.node.path("root").to_string_lossy().into_owned());

    let pod = stage.pod("looked-at").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let container = json(&stage, &format!("/containers/{id}"))?;
    assert_eq!(container["pid"], stage.process(&id).await?);
    assert_eq!(container["sandbox"], pod.id);
    assert_eq!(container["log_path"], stage.node.container_log("looked-at", "main").to_string_lossy().into_owned());
    let root = container["root"].as_str().context("a root")?;
    assert!(root.ends_with("/merged"), "{root}");
    let network = stage.cri.pod_status(&pod.id).await?.network.context("a network")?;
    assert_eq!(container["ip_addresses"][0], network.ip);
    assert_eq!(json(&stage, &format!("/containers/{}", pod.id))?["sandbox"], pod.id);

    let (status, config) = http(&stage, "/config")?;
    assert!(status == 200 && config.contains("[crio.runtime]"), "{status} {config}");
    for path in ["/containers/0000", "/nothing", "/"] {
        assert_eq!(http(&stage, path)?.0, 404, "{path}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn its_command_line_answers() -> Result<()> {
    let stage = Stage::set().await?;
    let socket = stage.node.socket();
    assert_eq!(std::fs::metadata(&socket)?.permissions().mode() & 0o777, 0o660);
    let run = |words: &[&str]| -> Result<String> {
        let mut command = stage.node.inside(&stage.node.path("bin/crio"));
        let output = command.args(words).output()?;
        ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert!(run(&["version"])?.contains("Version"));
    let config = stage.node.path("crio.conf").to_string_lossy().into_owned();
    let printed = run(&["--config", &config, "--config-dir", "", "config"])?;
    assert!(printed.contains("[crio.runtime]") && printed.contains(&*socket.to_string_lossy()), "{printed}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_nothing_of_pods_that_are_gone() -> Result<()> {
    let crio_conf = "[crio.stats]\nincluded_pod_metrics = [\"all\"]\n".to_owned();
    let stage = Stage::set_with(Options { crio_conf, ..Options::default() }).await?;
    let round = async |name: &str| -> Result<()> {
        let pod = stage.pod(name).await?;
        let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
        stage.exec(&id, "true").await?;
        let mut runtime = stage.cri.runtime();
        let pods = runtime.list_pod_sandbox_stats(ListPodSandboxStatsRequest::default()).await?.into_inner().stats;
        ensure!(pods.iter().any(|pod| pod.linux.as_ref().is_some_and(|linux| linux.network.is_some())), "{pods:?}");
        runtime.list_pod_sandbox_metrics(ListPodSandboxMetricsRequest {}).await?;
        stage.cri.stop(&id, std::time::Duration::ZERO).await?;
        stage.cri.stop_pod(&pod.id).await?;
        stage.cri.remove_pod(&pod.id).await?;
        Ok(())
    };
    for number in 0..3 {
        Box::pin(round(&format!("before-{number}"))).await?;
    }
    let process = stage.node.daemon_pid()?;
    let before = descriptors(process)?;
    for number in 0..10 {
        Box::pin(round(&format!("round-{number}"))).await?;
    }
    let mut after = before.clone();
    let settled = until("the daemon holds the same descriptors as before", async || {
        after = descriptors(process)?;
        Ok((after.len() <= before.len()).then_some(()))
    });
    settled.await.with_context(|| format!("before: {before:#?}\nafter: {after:#?}"))?;
    stage.close().await
}

/// What the descriptors of a process lead to.
fn descriptors(process: u32) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{process}/fd"))? {
        // One that was closed meanwhile leads nowhere.
        let target = std::fs::read_link(entry?.path()).unwrap_or_default();
        found.push(target.to_string_lossy().into_owned());
    }
    found.sort();
    Ok(found)
}
