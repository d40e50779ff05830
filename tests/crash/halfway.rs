//! The daemon killed in the middle of making something: the next one leaves nothing half made.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use crio_testkit::{Options, Runtime};
use crio_tests::{Stage, until};
use serde_json::json;
use tempfile::TempDir;

/// Replaces an executable file by a script.
fn script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, format!("#!/bin/sh\n{text}\n"))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// A stage whose last network plugin waits for the file `go` in the directory beside it, and says `waits` before.
async fn slow_network() -> Result<(Stage, TempDir)> {
    let plugins = tempfile::Builder::new().prefix("ct-plugins-").tempdir()?;
    let here = plugins.path().display();
    script(
        &plugins.path().join("slow"),
        &format!(
            "case $CNI_COMMAND in\n\
             VERSION) echo '{{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"1.0.0\"]}}' ;;\n\
             ADD) touch {here}/waits; n=0; while [ ! -e {here}/go ] && [ $n -lt 400 ]; do n=$((n+1)); sleep 0.05; done\n\
             sed -n 's/.*\"prevResult\":\\(.*\\)}}$/\\1/p' ;;\nesac"
        ),
    )?;
    let stage = Stage::set_with(Options {
        crio_conf: format!("[crio.network]\nplugin_dirs = [\"/usr/lib/cni\", {:?}]\n", plugins.path()),
        ..Options::default()
    })
    .await?;
    let file = stage.node.path("cni/10-test.conflist");
    let mut network: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
    if let Some(chain) = network["plugins"].as_array_mut() {
        chain[1] = json!({ "type": "slow" });
    }
    stage.change_network(network.to_string().as_bytes()).await?;
    Ok((stage, plugins))
}

async fn appears(path: PathBuf) -> Result<()> {
    until("the daemon is in the middle of it", async || Ok(path.exists().then_some(()))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_was_being_made_is_unmade() -> Result<()> {
    let (mut stage, plugins) = slow_network().await?;
    let call = tokio::spawn({
        let (cri, config) = (stage.cri.clone(), stage.node.pod("half"));
        async move { cri.run_pod(&config).await }
    });
    appears(plugins.path().join("waits")).await?;
    stage.node.kill()?;
    assert!(call.await?.is_err());
    fs::write(plugins.path().join("go"), "")?;
    stage.node.start_daemon().await?;
    stage.reconnect().await?;
    assert!(stage.cri.pods().await?.is_empty());
    let leaks = stage.node.leaks().await?;
    assert!(leaks.is_empty(), "{leaks}");
    stage.pod("half").await?;
    stage.close().await
}

/// A stage whose OCI runtime waits, when it is asked to create, as long as the file `hold` is there.
async fn slow_runtime() -> Result<(Stage, TempDir)> {
    let place = tempfile::Builder::new().prefix("ct-runtime-").tempdir()?;
    let (here, name) = (place.path().display(), Runtime::from_environment().name());
    let wrapper = place.path().join("runtime");
    script(
        &wrapper,
        &format!(
            "for word; do if [ \"$word\" = create ] && [ -e {here}/hold ]; then touch {here}/waits; n=0\n\
             while [ -e {here}/hold ] && [ $n -lt 400 ]; do n=$((n+1)); sleep 0.05; done; fi; done\nexec {name} \"$@\""
        ),
    )?;
    let stage = Stage::set_with(Options {
        crio_conf: format!("[crio.runtime.runtimes.{name}]\nruntime_path = {wrapper:?}\n"),
        ..Options::default()
    })
    .await?;
    Ok((stage, place))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_was_being_made_is_unmade() -> Result<()> {
    let (mut stage, place) = slow_runtime().await?;
    let pod = stage.pod("half").await?;
    let first = stage.start(&pod, &stage.shell("first", "sleep 1000")).await?;
    fs::write(place.path().join("hold"), "")?;
    let config = stage.shell("second", "echo made");
    let call = tokio::spawn({
        let (cri, pod, config) = (stage.cri.clone(), pod.clone(), config.clone());
        async move { cri.create(&pod.id, &pod.config, &config).await }
    });
    appears(place.path().join("waits")).await?;
    stage.node.kill()?;
    assert!(call.await?.is_err());
    fs::remove_file(place.path().join("hold"))?;
    stage.node.start_daemon().await?;
    stage.reconnect().await?;
    let listed = stage.cri.containers().await?;
    assert!(listed.iter().all(|container| container.id == first), "{listed:?}");
    assert_eq!(stage.finish(&pod, &config).await?.stdout, "made\n", "its name is free");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_at_any_moment_leaves_nothing() -> Result<()> {
    let mut stage = Stage::set().await?;
    for number in 0..12u64 {
        let (cri, config) = (stage.cri.clone(), stage.node.pod(&format!("pod-{number}")));
        let container = stage.shell("main", "sleep 1000");
        let work = tokio::spawn(async move {
            let pod = cri.run_pod(&config).await?;
            cri.run(&pod, &config, &container).await?;
            cri.stop_pod(&pod).await?;
            cri.remove_pod(&pod).await
        });
        tokio::time::sleep(Duration::from_millis(15 + number * 17)).await;
        stage.crash().await?;
        // Whether the work was done before is what this test leaves to chance.
        let _done = work.await?;
        for container in stage.cri.containers().await? {
            stage.cri.stop(&container.id, Duration::ZERO).await?;
        }
        for pod in stage.cri.pods().await? {
            stage.cri.stop_pod(&pod.id).await?;
            stage.cri.remove_pod(&pod.id).await?;
        }
        let leaks = stage.node.leaks().await?;
        assert!(leaks.is_empty(), "round {number}:\n{leaks}");
    }
    stage.close().await
}
