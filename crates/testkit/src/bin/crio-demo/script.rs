//! The story: pull, run, look, ask, restart, remove, and prove that nothing is left.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crio_testkit::leak::Footprint;
use serde_json::Value;

use crate::narrator::Narrator;
use crate::stage::{IMAGE, MANIFEST, Stage};
use crate::traces::Pod;

/// How long the client of the pod may take until it has logged something.
const LOG_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause between two looks at the log.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What the client logs about the web server, and how often before the demonstration goes on.
const LOGGED: &str = "apples";
const LOGGED_LINES: usize = 3;

/// Plays it, up to the removal of the pod.
///
/// # Errors
/// A command fails, or does not print what it should.
pub(crate) async fn play(stage: &mut Stage, narrator: &mut Narrator) -> Result<()> {
    pull(narrator).await?;
    let pod = run(narrator).await?;
    look(narrator).await?;
    let page = ask(narrator).await?;
    measure(stage, narrator).await?;
    restart(stage, narrator, &page).await?;
    remove(narrator, &pod).await
}

async fn pull(narrator: &mut Narrator) -> Result<()> {
    narrator
        .step("Pull the image: layers in parallel, each checked against its digest before anything becomes visible.")
        .await;
    narrator.run_drawing(&format!("crio image pull {IMAGE}")).await?;
    let list = narrator.run("crio image list").await?;
    ensure!(list.contains(IMAGE), "the image is not listed");
    Ok(())
}

async fn run(narrator: &mut Narrator) -> Result<Pod> {
    narrator
        .step("The pod is an ordinary Kubernetes manifest: a web server, and a client that asks it once a second.")
        .await;
    narrator.run(&format!("cat {MANIFEST}")).await?;
    narrator.step("Run it: namespaces, a CNI network, two containers, one monitor for the pod.").await;
    narrator.run(&format!("crio pod run {MANIFEST}")).await?;
    let pods = narrator.run("crio pod list").await?;
    ensure!(pods.contains("ready") && pods.contains("2/2"), "the pod does not run");
    narrator.run("crio container list").await?;
    // The use of processors is what changed since somebody last asked.
    narrator.run_quietly("crio container stats").await?;
    let inspected: Value = serde_json::from_str(&narrator.run_quietly("crio pod inspect shop").await?)?;
    let containers = inspected["containers"].as_array().context("the pod has containers")?;
    let ids = containers.iter().map(|container| &container["id"]).chain([&inspected["id"]]);
    Ok(Pod {
        ids: ids.filter_map(Value::as_str).map(str::to_owned).collect(),
        uid: inspected["uid"].as_str().context("the pod has a uid")?.to_owned(),
    })
}

async fn look(narrator: &mut Narrator) -> Result<()> {
    narrator.step("What the containers wrote is in CRI log files; rotation and kubelet know the format.").await;
    wait_for_log(narrator).await?;
    narrator.run("crio container logs --tail 3 --timestamps client").await?;
    narrator.run("crio container logs --tail 2 web").await?;
    narrator
        .step("Run a command in a container: it has its own processes, and an unprivileged user without capabilities.")
        .await;
    narrator
        .run(
            "crio container exec web -- sh -c 'id; ps; grep -E \"Cap(Eff|Bnd)|NoNewPrivs|Seccomp:\" /proc/self/status'",
        )
        .await?;
    Ok(())
}

async fn wait_for_log(narrator: &Narrator) -> Result<()> {
    let logged = async {
        while narrator.run_quietly("crio container logs client").await?.matches(LOGGED).count() < LOGGED_LINES {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    };
    let within = tokio::time::timeout(LOG_TIMEOUT, logged).await;
    within.context("the client has not logged the answers of the web server")?
}

/// Requests from inside and outside. Gives the host's, to be made again.
async fn ask(narrator: &mut Narrator) -> Result<String> {
    narrator.step("From one container to the other: they share the pod's network, so it is localhost.").await;
    let line = "crio container exec client -- sh -c 'wget -q -O - http://localhost:8080/stock.json | jq .'";
    ensure!(narrator.run(line).await?.contains(LOGGED), "the web server did not answer the client");
    narrator.step("From the host to the pod's own address, which the CNI plugins gave it.").await;
    let address = narrator.run("crio pod inspect shop | jq -r '.ips[0]'").await?;
    let request = format!("curl -sS --max-time 5 http://{}:8080/", address.trim());
    ensure!(narrator.run(&request).await?.contains("Hello"), "the web server did not answer the host");
    narrator.step("A volume that both mount: the client writes the time, the web server serves it.").await;
    narrator.run(&format!("curl -sS --max-time 5 http://{}:8080/data/now.txt", address.trim())).await?;
    Ok(request)
}

async fn measure(stage: &Stage, narrator: &mut Narrator) -> Result<()> {
    narrator.step("What the containers use, and what the daemon and the pod's monitor cost.").await;
    narrator.run("crio container stats").await?;
    let daemon = stage.node.daemon_pid()?;
    let megabytes = |bytes: u64| format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10);
    narrator.aside(&format!("crio         {} resident", megabytes(Footprint::of(daemon)?.resident_bytes)));
    for monitor in monitors(stage)? {
        let (own, program) = memory_kilobytes(monitor)?;
        narrator.aside(&format!(
            "crio-conmon  {own} kB of its own, and {program} kB of its program, which all monitors share"
        ));
    }
    narrator.pause().await;
    Ok(())
}

/// The monitors of this node: their program lies in its directory.
fn monitors(stage: &Stage) -> Result<Vec<u32>> {
    let program = stage.node.path("bin/crio-conmon");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let is_ours = std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| line.starts_with(program.as_os_str().as_encoded_bytes()));
        found.extend(pid.filter(|_| is_ours));
    }
    Ok(found)
}

/// Memory that a process has written, and pages of files that it has in memory.
fn memory_kilobytes(pid: u32) -> Result<(u64, u64)> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let field = |name: &str| -> u64 {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    let own = field("Private_Dirty:");
    Ok((own, field("Rss:").saturating_sub(own)))
}

async fn restart(stage: &mut Stage, narrator: &mut Narrator, request: &str) -> Result<()> {
    narrator.step("Kill the daemon, without mercy: the pod does not notice.").await;
    narrator.show(&format!("kill -9 {}", stage.node.daemon_pid()?));
    stage.node.kill()?;
    ensure!(narrator.run(request).await?.contains("Hello"), "the pod died with the daemon");
    narrator.step("A new daemon finds the pod, its containers and their logs, and goes on.").await;
    narrator.show("crio &");
    stage.node.start_daemon().await?;
    let pods = narrator.run("crio pod list").await?;
    ensure!(pods.contains("2/2"), "the new daemon does not know the pod");
    narrator.run("crio container exec web -- echo still here").await?;
    Ok(())
}

async fn remove(narrator: &mut Narrator, pod: &Pod) -> Result<()> {
    narrator.step("Stop and remove the pod, and remove the image.").await;
    narrator.run("crio pod stop shop").await?;
    narrator.run("crio pod rm shop").await?;
    narrator.run(&format!("crio image rm {IMAGE}")).await?;
    let traces = pod.traces();
    ensure!(traces.is_empty(), "left behind: {traces:?}");
    Ok(())
}

/// Ends the daemon and proves that the host is as it was before.
///
/// # Errors
/// Something is left; the message lists it.
pub(crate) async fn close(stage: Stage, narrator: &mut Narrator) -> Result<()> {
    narrator.step("End the daemon, and compare the host with how it was before: is anything left?").await;
    stage.node.close().await?;
    narrator
        .aside("processes, mounts, network links, firewall rules, control groups, addresses, layers, files: as before");
    Ok(())
}
