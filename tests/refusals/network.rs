//! Networks that are missing, broken, slow or busy.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::Result;
use crio_cri_api::v1::RunPodSandboxRequest;
use crio_testkit::Options;
use crio_tests::{Stage, refused, until};
use serde_json::json;
use tempfile::TempDir;
use tonic::{Code, Request};

/// A stage whose pods go through Debian's bridge and then through a plugin of our own, a script that does `on_add`.
async fn with_plugin(on_add: &str) -> Result<(Stage, TempDir)> {
    let plugins = tempfile::Builder::new().prefix("ct-plugins-").tempdir()?;
    let script = format!(
        "#!/bin/sh\nhere={}\ncase $CNI_COMMAND in\n\
         VERSION) echo '{{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"0.4.0\",\"1.0.0\"]}}' ;;\n\
         ADD) {on_add} ;;\nDEL) touch $here/deleted ;;\nesac\n",
        plugins.path().display()
    );
    let program = plugins.path().join("scripted");
    fs::write(&program, script)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let stage = Stage::set_with(Options {
        crio_conf: format!("[crio.network]\nplugin_dirs = [\"/usr/lib/cni\", {:?}]\n", plugins.path()),
        ..Options::default()
    })
    .await?;
    let file = stage.node.path("cni/10-test.conflist");
    let mut network: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
    if let Some(chain) = network["plugins"].as_array_mut() {
        chain[1] = json!({ "type": "scripted" });
    }
    stage.change_network(network.to_string().as_bytes()).await?;
    Ok((stage, plugins))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_plugin_is_quoted_and_undone() -> Result<()> {
    let say = "echo '{\"cniVersion\":\"1.0.0\",\"code\":100,\"msg\":\"the switch is on fire\"}'; exit 1";
    let (stage, plugins) = with_plugin(say).await?;
    let answer = stage.cri.run_pod(&stage.node.pod("unlucky")).await;
    refused(answer, Code::Internal, &["scripted", "the switch is on fire"])?;
    assert!(plugins.path().join("deleted").exists(), "every plugin of the chain is asked to undo");
    assert!(stage.cri.pods().await?.is_empty());
    let leaks = stage.node.leaks().await?;
    assert!(leaks.is_empty(), "{leaks}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_dies_or_talks_nonsense_is_named() -> Result<()> {
    for (script, word) in
        [("kill -9 $$", "signal"), ("echo nonsense", "invalid result"), ("echo gone wrong >&2; exit 3", "gone wrong")]
    {
        let (stage, _plugins) = with_plugin(script).await?;
        let answer = stage.cri.run_pod(&stage.node.pod("unlucky")).await;
        refused(answer, Code::Internal, &["scripted", word])?;
        let leaks = stage.node.leaks().await?;
        assert!(leaks.is_empty(), "{leaks}");
        stage.close().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_plugin_holds_up_nobody_else() -> Result<()> {
    let hang = "while [ ! -e $here/go ]; do sleep 0.05; done; echo '{\"cniVersion\":\"1.0.0\",\"code\":101,\"msg\":\"too late\"}'; exit 1";
    let (stage, plugins) = with_plugin(hang).await?;
    let mut request =
        Request::new(RunPodSandboxRequest { config: Some(stage.node.pod("hanging")), ..Default::default() });
    request.set_timeout(Duration::from_millis(1500));
    let answer = stage.cri.runtime().run_pod_sandbox(request).await;
    assert!(
        answer.as_ref().is_err_and(|status| [Code::DeadlineExceeded, Code::Cancelled].contains(&status.code())),
        "{answer:?}"
    );
    let mut host = stage.node.pod("host");
    crio_tests::workload::pod_namespaces(&mut host).network = crio_cri_api::v1::NamespaceMode::Node.into();
    let pod = stage.pod_of(host).await?;
    stage.cri.remove_pod(&pod.id).await?;

    // The retry joins what still runs, and gets its end.
    let retry = tokio::spawn({
        let (cri, config) = (stage.cri.clone(), stage.node.pod("hanging"));
        async move { cri.run_pod(&config).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    fs::write(plugins.path().join("go"), "")?;
    refused(retry.await?, Code::Internal, &["too late"])?;
    assert!(stage.cri.pods().await?.is_empty());
    let leaks = stage.node.leaks().await?;
    assert!(leaks.is_empty(), "{leaks}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_no_pod_but_a_reason() -> Result<()> {
    let stage = Stage::set().await?;
    let file = stage.node.path("cni/10-test.conflist");
    let text = fs::read(&file)?;
    fs::remove_file(&file)?;
    let reason = stage.network_is(false).await?;
    assert!(reason.contains("no CNI configuration"), "{reason}");
    let answer = stage.cri.run_pod(&stage.node.pod("alone")).await;
    refused(answer, Code::Unavailable, &["no CNI configuration"])?;
    let leaks = stage.node.leaks().await?;
    assert!(leaks.is_empty(), "{leaks}");
    let unusable = r#"{"cniVersion":"1.0.0","name":"x","plugins":[{"type":"no-such-plugin"}]}"#;
    for (text, word) in [("{", "10-test.conflist"), (unusable, "no-such-plugin")] {
        fs::write(&file, text)?;
        until("the reason is told", async || {
            let reason = stage.network_is(false).await?;
            Ok(reason.contains(word).then_some(()))
        })
        .await?;
    }
    fs::write(&file, text)?;
    stage.network_is(true).await?;
    stage.pod("alone").await?;
    stage.close().await
}
