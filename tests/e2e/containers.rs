//! What a container runs: command, arguments, environment, working directory, and how it ends.

use anyhow::Result;
use crio_cri_api::v1::{KeyValue, NamespaceMode, Signal};
use crio_testkit::request;
use crio_tests::workload::{namespaces, pod_namespaces};
use crio_tests::{Stage, images};
use serde_json::json;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_what_request_and_image_say() -> Result<()> {
    let stage = Stage::set().await?;
    let image = images::with_shell()?
        .config("Entrypoint", json!(["/bin/echo", "entry"]))
        .config("Cmd", json!(["cmd"]))
        .config("Env", json!(["PATH=/bin", "FROM_IMAGE=1", "BOTH=image"]))
        .config("WorkingDir", json!("/made/for/it"))
        .build()?;
    let image = stage.registry.push(&image, "settings:1").await?;
    stage.cri.pull(&image).await?;
    let pod = stage.pod("process").await?;

    let cases: [(&str, &[&str], &[&str], &str); 4] = [
        ("image", &[], &[], "entry cmd\n"),
        ("args", &[], &["a", "b"], "entry a b\n"),
        ("command", &["/bin/echo", "c"], &[], "c\n"),
        ("both", &["/bin/echo", "c"], &["d e"], "c d e\n"),
    ];
    for (name, command, args, expected) in cases {
        let mut config = request::container(name, &image, command);
        config.args = words(args);
        let ended = stage.finish(&pod, &config).await?;
        assert_eq!((ended.stdout.as_str(), ended.status.exit_code), (expected, 0), "{name}");
    }

    // The OCI specification is JSON and has no place for bytes that are no text; what kubelet sends must still be taken.
    let script = "echo $FROM_IMAGE $BOTH $REQUEST; pwd; printf %s \"$RAW\" | od -An -tx1";
    let mut config =
        request::container("environment", &image, &["/bin/sh", "-c", &script.replace("od ", "busybox od ")]);
    for (key, value) in [("BOTH", &b"request"[..]), ("REQUEST", b"a=b"), ("RAW", b"ok\xff")] {
        config.envs.push(KeyValue { key: key.to_owned(), value: value.to_vec() });
    }
    let ended = stage.finish(&pod, &config).await?;
    assert_eq!(ended.stdout, "1 request a=b\n/made/for/it\n 6f 6b ef bf bd\n", "{}", ended.stderr);

    let mut config = request::container("elsewhere", &image, &["/bin/pwd"]);
    config.working_dir = "/some/where".to_owned();
    assert_eq!(stage.finish(&pod, &config).await?.stdout, "/some/where\n");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_process_is_told_exactly() -> Result<()> {
    let stage = Stage::set().await?;
    let mut config = stage.node.pod("ends");
    // The first process of a PID namespace cannot be killed from inside it.
    pod_namespaces(&mut config).pid = NamespaceMode::Pod.into();
    let pod = stage.pod_of(config).await?;
    for (script, code, reason) in [
        ("exit 0", 0, "Completed"),
        ("exit 3", 3, "Error"),
        ("exit 255", 255, "Error"),
        ("kill -TERM $$", 143, "Error"),
        ("kill -KILL $$", 137, "Error"),
    ] {
        let mut config = stage.shell(&format!("c{code}"), script);
        namespaces(&mut config).pid = NamespaceMode::Pod.into();
        let ended = stage.finish(&pod, &config).await?;
        let status = ended.status;
        assert_eq!((status.exit_code, status.reason.as_str()), (code, reason), "{script}");
        assert!(status.created_at > 0 && status.created_at <= status.started_at, "{status:?}");
        assert!(status.started_at <= status.finished_at, "{status:?}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_shows_the_request() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("shown").await?;
    let mut config = stage.shell("main", "sleep 1000");
    config.labels.insert("label".to_owned(), "1".to_owned());
    config.annotations.insert("annotation".to_owned(), "2".to_owned());
    config.stop_signal = Signal::Sigusr1.into();
    let id = stage.start(&pod, &config).await?;
    let status = stage.cri.status(&id).await?;
    assert_eq!(status.metadata, config.metadata);
    assert!(config.labels.iter().all(|(key, value)| status.labels.get(key) == Some(value)), "{:?}", status.labels);
    assert_eq!(status.annotations, config.annotations);
    assert_eq!(status.log_path, stage.node.container_log("shown", "main").to_string_lossy());
    assert_eq!(status.stop_signal(), Signal::Sigusr1);
    assert_eq!(status.image.map(|image| image.image), Some(stage.busybox.clone()));
    assert!(status.image_ref.contains("@sha256:"), "{}", status.image_ref);
    assert_eq!(status.image_id, stage.cri.pull(&stage.busybox).await?);
    assert_eq!((status.finished_at, status.exit_code, status.reason.as_str()), (0, 0, ""));

    let info = stage.info(&id).await?;
    assert_eq!(info["sandboxID"], pod.id);
    assert_eq!(info["runtimeSpec"]["process"]["args"], json!(["/bin/sh", "-c", "sleep 1000"]));
    let pid = info["pid"].as_u64().unwrap_or_default();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_and_standard_input_are_there_when_asked_for() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("terminal").await?;
    let mut config = stage.shell("tty", "test -t 0 && test -t 1 && tty && echo over >&2");
    config.tty = true;
    config.stdin = true;
    let ended = stage.finish(&pod, &config).await?;
    assert_eq!(ended.status.exit_code, 0, "{ended:?}");
    assert!(ended.stdout.starts_with("/dev/"), "{}", ended.stdout);
    assert!(ended.stdout.contains("over") && ended.stderr.is_empty(), "a terminal has one output: {ended:?}");

    let ended = stage.finish(&pod, &stage.shell("none", "test ! -t 0; cat; echo end")).await?;
    assert_eq!(ended.stdout, "end\n", "without stdin there is an empty one");

    let mut config = stage.shell("stdin", "cat");
    config.stdin = true;
    let id = stage.start(&pod, &config).await?;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let status = stage.cri.status(&id).await?;
    assert_eq!(status.finished_at, 0, "it waits for input: {status:?}");
    stage.cri.stop(&id, std::time::Duration::ZERO).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_can_run_from_an_image_id() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("by-id").await?;
    let id = stage.cri.pull(&stage.busybox).await?;
    for (name, image) in [("hex", id.clone()), ("digest", format!("sha256:{id}"))] {
        let config = request::shell(name, &image, "echo ran");
        let ended = stage.finish(&pod, &config).await?;
        assert_eq!(ended.stdout, "ran\n");
        assert_eq!(ended.status.image_id, id);
    }
    stage.close().await
}
