//! What `crictl` shows of statistics, metrics and events.

use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use crio_testkit::Options;
use crio_tests::{PATIENCE, Stage, until};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{client, crictl, json_of};

/// Events that may wait to be read by the test.
const EVENTS_MAX: usize = 64;

async fn stage() -> Result<Stage> {
    let crio_conf = "[crio.runtime]\nenable_pod_events = true\n[crio.stats]\nincluded_pod_metrics = [\"all\"]\n";
    Stage::set_with(Options { crio_conf: crio_conf.to_owned(), ..Options::default() }).await
}

fn number(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).or(value.as_u64()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn crictl_shows_statistics() -> Result<()> {
    let stage = stage().await?;
    let pod = stage.pod("shown").await?;
    let container = stage.start(&pod, &stage.shell("main", "while :; do :; done")).await?;

    let table = crictl(&stage, &["stats"])?;
    assert!(table.contains("main") && table.contains(&container[..13]), "{table}");
    let stats = json_of(&stage, &["stats", "--output", "json", &container])?;
    let stats = &stats["stats"][0];
    assert_eq!(
        (stats["attributes"]["id"].as_str(), &stats["attributes"]["metadata"]["name"]),
        (Some(&*container), &"main".into())
    );
    assert!(number(&stats["cpu"]["usageCoreNanoSeconds"]["value"]) > 0, "{stats}");
    assert!(number(&stats["memory"]["workingSetBytes"]["value"]) > 0, "{stats}");

    let table = crictl(&stage, &["statsp"])?;
    assert!(table.contains("shown"), "{table}");
    let pods = json_of(&stage, &["statsp", "--output", "json", "--id", &pod.id])?;
    let linux = &pods["stats"][0]["linux"];
    assert_eq!(linux["network"]["defaultInterface"]["name"], "eth0", "{linux}");
    assert_eq!(linux["containers"][0]["attributes"]["id"], container.as_str(), "{linux}");
    assert!(number(&linux["process"]["processCount"]["value"]) > 0, "{linux}");

    let usage = until("the images' inodes are counted", async || {
        let usage = json_of(&stage, &["imagefsinfo", "--output", "json"])?;
        Ok((number(&usage["status"]["imageFilesystems"][0]["inodesUsed"]["value"]) > 0).then_some(usage))
    })
    .await?;
    for list in ["imageFilesystems", "containerFilesystems"] {
        let first = &usage["status"][list][0];
        assert!(number(&first["usedBytes"]["value"]) > 0, "{usage}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn crictl_shows_metrics() -> Result<()> {
    let stage = stage().await?;
    let pod = stage.pod("measured").await?;
    let container = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let described = json_of(&stage, &["metricdescs", "--output", "json"])?;
    let described = described["descriptors"].as_array().context("descriptors")?;
    assert_eq!(described.len(), 56, "{described:?}");
    let keys = |name: &Value| {
        let descriptor = described.iter().find(|descriptor| descriptor["name"] == *name)?;
        descriptor["labelKeys"].as_array().map(Vec::len)
    };
    let metrics = json_of(&stage, &["metricsp", "--output", "json"])?;
    let whole = &metrics["podMetrics"][0];
    assert_eq!(whole["podSandboxId"], pod.id.as_str(), "{whole}");
    let own = &whole["containerMetrics"][0];
    assert_eq!(own["containerId"], container.as_str(), "{own}");
    for metric in [&whole["metrics"], &own["metrics"]].into_iter().filter_map(Value::as_array).flatten() {
        assert_eq!(metric["labelValues"].as_array().map(Vec::len), keys(&metric["name"]), "{metric}");
    }
    stage.close().await
}

/// A `crictl events` that runs; ended when dropped.
struct Watching {
    child: Child,
    events: mpsc::Receiver<Value>,
}

impl Watching {
    fn start(stage: &Stage) -> Result<Self> {
        let mut child = client(stage)?.arg("events").stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("its output")?;
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        // It ends with the program whose output it reads.
        std::thread::spawn(move || {
            let documents = serde_json::Deserializer::from_reader(output).into_iter::<Value>();
            documents
                .map_while(Result::ok)
                .take_while(|event| sender.blocking_send(event.clone()).is_ok())
                .for_each(drop);
        });
        Ok(Self { child, events })
    }

    async fn next(&mut self) -> Result<(String, String)> {
        let event = timeout(PATIENCE, self.events.recv()).await.context("no event comes")?.context("it ended")?;
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        Ok((text("containerId"), text("containerEventType")))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crictl_shows_events() -> Result<()> {
    let stage = stage().await?;
    let mut watching = Watching::start(&stage)?;
    // It does not say when it watches, so pods are made until it tells of one.
    let mut probe = 0;
    until("crictl tells of an event", async || {
        probe += 1;
        let pod = stage.pod(&format!("probe-{probe}")).await?;
        stage.cri.remove_pod(&pod.id).await?;
        Ok(timeout(Duration::from_millis(300), watching.events.recv()).await.ok().flatten())
    })
    .await?;
    let pod = stage.pod("watched").await?;
    let ended = stage.finish(&pod, &stage.shell("main", "true")).await?;
    stage.cri.remove(&ended.id).await?;
    stage.cri.remove_pod(&pod.id).await?;
    let mut told = Vec::new();
    while !told.last().is_some_and(|(id, kind)| *id == pod.id && kind == "CONTAINER_DELETED_EVENT") {
        told.push(watching.next().await?);
    }
    let of = |id: &str| -> Vec<String> {
        told.iter().filter(|(told, _)| told == id).map(|(_, kind)| kind.clone()).collect()
    };
    let life =
        ["CONTAINER_CREATED_EVENT", "CONTAINER_STARTED_EVENT", "CONTAINER_STOPPED_EVENT", "CONTAINER_DELETED_EVENT"];
    assert_eq!(of(&ended.id), life);
    assert_eq!(of(&pod.id), life);
    drop(watching);
    stage.close().await
}
