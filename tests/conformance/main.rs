//! crictl, the client administrators use, and critest, the conformance tests, against the daemon. `cargo xtask setup` builds
//! both; `CRIO_TOOLS` says where.

mod stats;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use crio_tests::{Stage, until};
use serde_json::{Value, json};
use tokio::sync::Mutex;

mod critest;

/// critest runs by itself.
static ALONE: Mutex<()> = Mutex::const_new(());

/// crictl, told where the daemon is.
fn client(stage: &Stage) -> Result<Command> {
    let tools = std::env::var_os("CRIO_TOOLS").context("CRIO_TOOLS is not set: run `cargo xtask test`")?;
    let socket = format!("unix://{}", stage.node.socket().display());
    let mut command = Command::new(PathBuf::from(tools).join("crictl"));
    command.args(["--runtime-endpoint", &socket, "--image-endpoint", &socket]);
    Ok(command)
}

fn crictl(stage: &Stage, arguments: &[&str]) -> Result<String> {
    let output = client(stage)?.args(arguments).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "crictl {arguments:?}: {errors}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn json_of(stage: &Stage, arguments: &[&str]) -> Result<Value> {
    Ok(serde_json::from_str(&crictl(stage, arguments)?)?)
}

/// Writes a request as crictl reads it.
fn request(stage: &Stage, name: &str, value: &Value) -> Result<String> {
    let path = stage.node.path(name);
    fs::write(&path, value.to_string())?;
    Ok(path.to_string_lossy().into_owned())
}

fn pod_request(stage: &Stage) -> Value {
    json!({
        "metadata": { "name": "by-hand", "namespace": "test", "uid": "uid-by-hand", "attempt": 0 },
        "hostname": "by-hand",
        "log_directory": stage.node.path("pods/by-hand"),
        "linux": {
            "cgroup_parent": format!("{}/by-hand", stage.node.cgroup_parent()),
            "security_context": { "namespace_options": { "pid": 1 } },
        },
    })
}

fn container_request(stage: &Stage) -> Value {
    json!({
        "metadata": { "name": "main" },
        "image": { "image": stage.busybox },
        "command": ["/bin/sh", "-c", "trap 'exit 3' TERM; echo hello from crictl; while :; do sleep 0.1; done"],
        "log_path": "main.log",
        "linux": { "security_context": { "namespace_options": { "pid": 1 } } },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn crictl_understands_the_daemon() -> Result<()> {
    let stage = Stage::set().await?;
    let version = crictl(&stage, &["version"])?;
    assert!(version.contains("RuntimeName:  cri-o"), "{version}");
    let info = crictl(&stage, &["info"])?;
    assert!(info.contains("RuntimeReady"), "{info}");
    let images = crictl(&stage, &["images", "--output", "json"])?;
    assert!(images.contains("library/busybox"), "{images}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn crictl_drives_a_pod_through_its_life() -> Result<()> {
    let stage = Stage::set().await?;
    crictl(&stage, &["pull", &stage.busybox])?;
    let pod_file = request(&stage, "pod.json", &pod_request(&stage))?;
    let container_file = request(&stage, "container.json", &container_request(&stage))?;
    let pod = crictl(&stage, &["runp", &pod_file])?.trim().to_owned();
    let container = crictl(&stage, &["create", &pod, &container_file, &pod_file])?.trim().to_owned();
    crictl(&stage, &["start", &container])?;

    assert_eq!(json_of(&stage, &["pods", "--output", "json"])?["items"][0]["id"], pod);
    let listed = json_of(&stage, &["ps", "--output", "json"])?;
    assert_eq!(
        (&listed["containers"][0]["id"], &listed["containers"][0]["state"]),
        (&json!(container), &json!("CONTAINER_RUNNING"))
    );
    until("the log is read", async || {
        Ok(crictl(&stage, &["logs", &container])?.contains("hello from crictl").then_some(()))
    })
    .await?;
    assert_eq!(crictl(&stage, &["exec", "-s", &container, "echo", "a word"])?.trim_end(), "a word");
    let inspected = json_of(&stage, &["inspect", &container])?;
    assert_eq!(inspected["status"]["state"], "CONTAINER_RUNNING");
    assert!(inspected["info"]["runtimeSpec"]["process"].is_object(), "{inspected}");
    let inspected = json_of(&stage, &["inspectp", &pod])?;
    assert!(inspected["status"]["network"]["ip"].as_str().is_some_and(|ip| !ip.is_empty()), "{inspected}");
    let stats = json_of(&stage, &["stats", "--output", "json", "--id", &container])?;
    assert_eq!(stats["stats"][0]["attributes"]["id"], container);
    json_of(&stage, &["statsp", "--output", "json"])?;
    json_of(&stage, &["inspecti", &stage.busybox])?;
    json_of(&stage, &["imagefsinfo", "--output", "json"])?;

    crictl(&stage, &["stop", "--timeout", "10", &container])?;
    assert_eq!(json_of(&stage, &["inspect", &container])?["status"]["exitCode"], 3);
    crictl(&stage, &["rm", &container])?;
    crictl(&stage, &["stopp", &pod])?;
    crictl(&stage, &["rmp", &pod])?;
    assert_eq!(json_of(&stage, &["pods", "--output", "json"])?["items"], json!([]));
    crictl(&stage, &["rmi", &stage.busybox])?;
    assert!(!crictl(&stage, &["images"])?.contains("library/busybox"));
    assert!(Path::new(&stage.node.socket()).exists());
    stage.close().await
}
