//! Checkpoints: a container goes on while its state is written, and another goes on from there.
//!
//! Only with runc: Debian 12's crun is built without them. The CRIU that works on this kernel is in a directory of its own
//! (`cargo xtask setup`), which the monitors get into their `PATH`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crio_cri_api::v1::{CheckpointContainerRequest, ContainerConfig, ContainerState};
use crio_testkit::{Options, Runtime};
use crio_tests::{PATIENCE, Pod, Stage, log, refused, until, workload};
use serde_json::Value;
use tonic::Code;

/// Counts, in its memory and in a file, and ends with 7 when it is asked to.
const COUNTER: &str = "trap 'exit 7' TERM; echo mine > /made; rm /etc/group; i=0; \
    while :; do i=$((i+1)); echo tick $i; echo $i > /count; sleep 0.1; done";

fn tools() -> Result<PathBuf> {
    let tools = std::env::var_os("CRIO_TOOLS").context("CRIO_TOOLS is not set: run `cargo xtask test`")?;
    Ok(PathBuf::from(tools))
}

/// A stage on which checkpoints are enabled, with this directory before others in the monitors' `PATH`.
async fn set(programs: &Path) -> Result<Stage> {
    ensure!(Runtime::from_environment() == Runtime::Runc, "CRIO_TEST_RUNTIME must be runc");
    let crio_conf = format!(
        "[crio.runtime]\nenable_criu_support = true\n\
         conmon_env = [\"PATH={}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"]\n",
        programs.display()
    );
    Stage::set_with(Options { crio_conf, ..Options::default() }).await
}

async fn set_with_criu() -> Result<Stage> {
    let directory = tools()?.join("criu");
    ensure!(directory.join("criu").is_file(), "there is no criu in {}: run `cargo xtask setup`", directory.display());
    set(&directory).await
}

/// A directory with a criu that does what the script says.
fn fake_criu(script: &str) -> Result<tempfile::TempDir> {
    let directory = tempfile::Builder::new().prefix("ct-criu-").tempdir()?;
    let program = directory.path().join("criu");
    fs::write(&program, format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(directory)
}

async fn checkpoint(stage: &Stage, id: &str, location: &Path, timeout: i64) -> Result<(), tonic::Status> {
    let location = location.to_string_lossy().into_owned();
    let request = CheckpointContainerRequest { container_id: id.to_owned(), location, timeout };
    stage.cri.runtime().checkpoint_container(request).await.map(drop)
}

async fn count(stage: &Stage, id: &str) -> Result<u64> {
    Ok(stage.exec(id, "cat /count").await?.trim().parse()?)
}

/// Starts the counter and waits until it has counted a little.
async fn counter(stage: &Stage, pod: &Pod) -> Result<String> {
    let id = stage.start(pod, &stage.shell("counter", COUNTER)).await?;
    goes_on(stage, &id, 5).await?;
    Ok(id)
}

async fn goes_on(stage: &Stage, id: &str, beyond: u64) -> Result<()> {
    let counted = async || Ok((count(stage, id).await.unwrap_or(0) > beyond).then_some(()));
    until("the container counts on", counted).await
}

/// A request for a container out of an archive.
fn out_of(stage: &Stage, archive: &Path) -> ContainerConfig {
    let mut config = stage.shell("again", COUNTER);
    (config.command, config.args) = (Vec::new(), Vec::new());
    let image = config.image.get_or_insert_default();
    image.image = archive.to_string_lossy().into_owned();
    image.user_specified_image.clone_from(&image.image);
    config
}

fn members(archive: &Path) -> Result<Vec<String>> {
    let output = Command::new("tar").arg("--list").arg("--file").arg(archive).output()?;
    ensure!(output.status.success(), "tar: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

fn member(archive: &Path, name: &str) -> Result<Vec<u8>> {
    let output = Command::new("tar").args(["--extract", "--to-stdout", "--file"]).arg(archive).arg(name).output()?;
    ensure!(output.status.success(), "tar: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn names(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory)?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_goes_on_and_another_goes_on_from_its_checkpoint() -> Result<()> {
    let stage = set_with_criu().await?;
    let first = stage.pod("first").await?;
    let id = counter(&stage, &first).await?;
    let out = stage.node.path("checkpoints");
    fs::create_dir(&out)?;
    let archive = out.join("it.tar");
    let socket = format!("unix://{}", stage.node.socket().display());
    let export = format!("--export={}", archive.display());
    let mut crictl = Command::new(tools()?.join("crictl"));
    crictl.args(["--runtime-endpoint", &socket, "--timeout", "60s", "checkpoint", &export, &id]);
    let output = crictl.output()?;
    ensure!(output.status.success(), "crictl: {}", String::from_utf8_lossy(&output.stderr));
    let counted = count(&stage, &id).await?;
    goes_on(&stage, &id, counted + 3).await?;

    assert_eq!(names(&out)?, ["it.tar"]);
    assert_eq!(fs::metadata(&archive)?.permissions().mode() & 0o7777, 0o600);
    let found = members(&archive)?;
    let expected = ["config.dump", "spec.dump", "checkpoint/", "checkpoint/inventory.img", "rootfs-diff.tar"];
    let more = ["deleted.files", "bind.mounts", "io.kubernetes.cri-o.LogPath", "dump.log", "stats-dump"];
    for name in expected.iter().chain(&more) {
        assert!(found.iter().any(|member| member == name), "{name} is not in {found:?}");
    }
    let config: Value = serde_json::from_slice(&member(&archive, "config.dump")?)?;
    assert_eq!(config["id"], id);
    assert_eq!(config["rootfsImageName"], stage.busybox);
    let spec: Value = serde_json::from_slice(&member(&archive, "spec.dump")?)?;
    assert!(spec["annotations"]["io.kubernetes.cri-o.Annotations"].is_string(), "CRI-O restores no other");
    let dumped: u64 = {
        let log = String::from_utf8(member(&archive, "io.kubernetes.cri-o.LogPath")?)?;
        log.lines().filter_map(|line| line.rsplit(' ').next()?.parse().ok()).max().context("it had counted")?
    };

    let second = stage.pod("second").await?;
    let again = stage.start(&second, &out_of(&stage, &archive)).await?;
    goes_on(&stage, &again, dumped + 3).await?;
    let status = stage.cri.status(&again).await?;
    assert_eq!(status.state(), ContainerState::ContainerRunning);
    assert_eq!(status.image.context("it has an image")?.image, stage.busybox);
    assert_eq!(stage.exec(&again, "cat /made; ls /etc/group 2>/dev/null || echo gone").await?, "mine\ngone\n");
    let written = String::from_utf8(log::content(&log::read(status.log_path.as_ref())?, "stdout"))?;
    let ticks: Vec<u64> = written.lines().filter_map(|line| line.strip_prefix("tick ")?.parse().ok()).collect();
    assert!(ticks.first().is_some_and(|first| (dumped..dumped + 3).contains(first)), "{dumped}: {written}");
    stage.cri.stop(&again, PATIENCE).await?;
    let ended = stage.cri.wait(&again, ContainerState::ContainerExited, PATIENCE).await?;
    assert_eq!(ended.exit_code, 7);
    goes_on(&stage, &id, count(&stage, &id).await?).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_cannot_be_leaves_nothing() -> Result<()> {
    let slow = fake_criu("sleep 1000 & sleep 1000")?;
    let stage = set(slow.path()).await?;
    let pod = stage.pod("refused").await?;
    let id = counter(&stage, &pod).await?;
    let out = stage.node.path("checkpoints");
    fs::create_dir(&out)?;
    let archive = out.join("it.tar");
    refused(checkpoint(&stage, "no-such", &archive, 0).await, Code::NotFound, &["no-such"])?;
    for bad in [Path::new(""), Path::new("relative.tar"), &out, &out.join("no/such/it.tar")] {
        refused(checkpoint(&stage, &id, bad, 0).await, Code::InvalidArgument, &["archive"])?;
    }
    let over = stage.finish(&pod, &stage.shell("over", "true")).await?;
    refused(checkpoint(&stage, &over.id, &archive, 0).await, Code::FailedPrecondition, &["Exited"])?;

    refused(checkpoint(&stage, &id, &archive, 1).await, Code::DeadlineExceeded, &["in time"])?;
    goes_on(&stage, &id, count(&stage, &id).await?).await?;
    assert_eq!(names(&out)?, [] as [&str; 0]);
    let directory = stage.node.path("root/overlay-containers").join(&id).join("userdata");
    assert!(names(&directory)?.iter().all(|name| !name.contains("checkpoint")), "{:?}", names(&directory)?);

    // A stop does not wait for it.
    let (written, stopped) = {
        let written = checkpoint(&stage, &id, &archive, 60);
        let stop = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            stage.cri.stop(&id, PATIENCE).await
        };
        tokio::time::timeout(PATIENCE, async { tokio::join!(written, stop) }).await.context("neither hangs")?
    };
    stopped?;
    refused(written, Code::FailedPrecondition, &["being stopped"])?;
    assert_eq!(stage.cri.status(&id).await?.exit_code, 7);
    assert_eq!(names(&out)?, [] as [&str; 0]);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_in_a_checkpoint_leaves_no_frozen_container() -> Result<()> {
    let slow = fake_criu("sleep 1000")?;
    let mut stage = set(slow.path()).await?;
    let pod = stage.pod("killed").await?;
    let id = counter(&stage, &pod).await?;
    let archive = stage.node.path("it.tar");
    let request = CheckpointContainerRequest {
        container_id: id.clone(),
        location: archive.to_string_lossy().into_owned(),
        timeout: 60,
    };
    let mut client = stage.cri.runtime();
    let written = tokio::spawn(async move { client.checkpoint_container(request).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    stage.crash().await?;
    assert!(written.await?.is_err());
    goes_on(&stage, &id, count(&stage, &id).await?).await?;
    assert!(!archive.exists());
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_checkpoints_that_may_be_restored_are() -> Result<()> {
    let mut stage = set_with_criu().await?;
    let mut config = stage.node.pod("strong");
    workload::pod_security(&mut config).privileged = true;
    let strong = stage.pod_of(config).await?;
    let mut privileged = stage.shell("counter", COUNTER);
    workload::security(&mut privileged).capabilities.get_or_insert_default().add_capabilities =
        vec!["SYS_ADMIN".into()];
    let id = stage.start(&strong, &privileged).await?;
    goes_on(&stage, &id, 3).await?;
    let archive = stage.node.path("strong.tar");
    checkpoint(&stage, &id, &archive, 60).await?;

    let pod = stage.pod("weak").await?;
    let create = async |archive: &Path| stage.cri.create(&pod.id, &pod.config, &out_of(&stage, archive)).await;
    refused(create(&stage.node.path("none.tar")).await, Code::NotFound, &["none.tar"])?;
    let copy = stage.node.path("copy.tar");
    fs::copy(&archive, &copy)?;
    refused(create(&copy).await, Code::PermissionDenied, &["mark"])?;
    refused(create(&archive).await, Code::FailedPrecondition, &["capabilities"])?;
    let listed = stage.cri.containers().await?;
    assert!(listed.iter().all(|container| container.pod_sandbox_id != pod.id), "{listed:?}");

    // The same rights, and it waits for its start even when the daemon is killed meanwhile.
    let mut again = out_of(&stage, &archive);
    workload::security(&mut again).capabilities.get_or_insert_default().add_capabilities = vec!["SYS_ADMIN".into()];
    let waiting = stage.cri.create(&pod.id, &pod.config, &again).await?;
    stage.crash().await?;
    assert_eq!(stage.cri.status(&waiting).await?.state(), ContainerState::ContainerCreated);
    stage.cri.start(&waiting).await?;
    goes_on(&stage, &waiting, count(&stage, &waiting).await?).await?;

    // One that is never started can be stopped and removed.
    again.metadata.get_or_insert_default().name = "never".to_owned();
    again.log_path = "never.log".to_owned();
    let never = stage.cri.create(&pod.id, &pod.config, &again).await?;
    stage.cri.stop(&never, Duration::ZERO).await?;
    assert_eq!(stage.cri.status(&never).await?.state(), ContainerState::ContainerExited);
    stage.cri.remove(&never).await?;
    stage.close().await
}
