//! Settings that cannot be, and sockets that are taken.

use std::fs;
use std::os::unix::net::UnixListener;

use anyhow::{Result, bail, ensure};
use crio_testkit::{Node, Options};
use crio_tests::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_are_refused_with_their_place() -> Result<()> {
    let cases = [
        ("[crio.runtime]\nlog_level = \"loud\"\n", &["50-test.conf", "log_level", "loud"][..]),
        ("[crio.runtime]\npids_limit = \"many\"\n", &["50-test.conf:2", "pids_limit"]),
        ("[crio.runtime]\ncgroup_manager = \"none\"\n", &["50-test.conf", "cgroup_manager", "cgroupfs"]),
        ("[crio.runtime\n", &["50-test.conf:1"]),
        ("[crio.runtime]\ndefault_runtime = \"absent\"\n", &["absent"]),
        ("[crio.runtime.runtimes.crun]\nruntime_path = \"/no/such/program\"\n", &["/no/such/program"]),
    ];
    for (text, words) in cases {
        let options = Options { crio_conf: text.to_owned(), ..Options::default() };
        let refusal = match Node::start(options).await {
            Ok(node) => {
                node.close().await?;
                bail!("the daemon started with {text:?}");
            }
            Err(refusal) => format!("{refusal:#}"),
        };
        for word in words {
            ensure!(refusal.contains(word), "{word:?} is not in {refusal}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_settings_are_warned_about_with_their_place() -> Result<()> {
    let options = Options { crio_conf: "[crio.runtime]\n\nno_such_setting = 1\n".to_owned(), ..Options::default() };
    let node = Node::start(options).await?;
    let log = node.log();
    assert!(log.contains("no_such_setting") && log.contains("50-test.conf:3"), "{log}");
    node.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_daemon_to_a_socket() -> Result<()> {
    let mut stage = Stage::set().await?;
    let pod = stage.pod("kept").await?;
    let second = stage.node.path("bin/crio");
    let output = stage
        .node
        .inside(&second)
        .arg("--config")
        .arg(stage.node.path("crio.conf"))
        .args(["--config-dir", ""])
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("crio.sock"), "{errors}");
    assert_eq!(stage.cri.pods().await?.len(), 1, "the first goes on");

    stage.node.stop().await?;
    let socket = stage.node.socket();
    if socket.exists() {
        fs::remove_file(&socket)?;
    }
    drop(UnixListener::bind(&socket)?);
    assert!(socket.exists(), "a socket that nobody serves");
    stage.node.start_daemon().await?;
    stage.reconnect().await?;
    assert_eq!(stage.cri.pod_status(&pod.id).await?.id, pod.id);
    stage.close().await
}
