//! Logs: every byte once, in order, also when lines are long, unfinished or no text, and when the file is rotated.

use std::fs;

use anyhow::Result;
use crio_cri_api::v1::{ContainerState, ReopenContainerLogRequest};
use crio_tests::{PATIENCE, Stage, log, until};

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_is_in_the_log() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("bytes").await?;
    let long = "x".repeat(100_000);
    let script = format!(
        "printf 'one\\n\\ntwo\\n'; printf '\\377\\376\\001\\n'; head -c {} /dev/zero | tr '\\0' x; echo; echo err >&2; printf end",
        long.len()
    );
    let ended = stage.finish(&pod, &stage.shell("main", &script)).await?;
    let lines = log::read(ended.status.log_path.as_ref())?;
    let mut expected = b"one\n\ntwo\n\xff\xfe\x01\n".to_vec();
    expected.extend_from_slice(long.as_bytes());
    expected.extend_from_slice(b"\nend");
    assert_eq!(log::content(&lines, "stdout"), expected);
    assert_eq!(log::content(&lines, "stderr"), b"err\n");
    let last = lines.iter().rfind(|line| line.stream == "stdout");
    assert!(last.is_some_and(|line| line.is_partial), "an unfinished line is partial");
    assert!(lines.iter().all(|line| line.content.len() <= 16 << 10), "long lines come in pieces");
    assert!(lines.windows(2).all(|pair| pair[0].time <= pair[1].time), "times do not go back");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn much_is_logged_completely_before_the_end_is_told() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("much").await?;
    let ended = stage.finish(&pod, &stage.shell("main", "seq 1 200000")).await?;
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert!(ended.stdout == expected, "{} bytes instead of {}", ended.stdout.len(), expected.len());
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_log_goes_on_in_a_new_file() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("rotated").await?;
    let script = "i=0; while [ ! -e /tmp/end ]; do i=$((i+1)); echo $i; done; echo last";
    let id = stage.start(&pod, &stage.shell("main", script)).await?;
    let path = stage.node.container_log("rotated", "main");
    let written = async || Ok((fs::metadata(&path).is_ok_and(|file| file.len() > 10_000)).then_some(()));
    let mut parts = Vec::new();
    for number in 0..3 {
        until("something is written", written).await?;
        let old = path.with_extension(number.to_string());
        fs::rename(&path, &old)?;
        let request = ReopenContainerLogRequest { container_id: id.clone() };
        stage.cri.runtime().reopen_container_log(request).await?;
        assert!(path.exists(), "the file is there when the call returns");
        let length = fs::metadata(&old)?.len();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert_eq!(fs::metadata(&old)?.len(), length, "nothing more goes to the old file");
        parts.push(old);
    }
    // The end of the container may come before that of the command.
    let _ended = stage.exec(&id, "touch /tmp/end").await;
    stage.cri.wait(&id, ContainerState::ContainerExited, PATIENCE).await?;
    parts.push(path);
    let mut all = Vec::new();
    for part in parts {
        all.extend(log::read(&part)?);
    }
    let text = String::from_utf8(log::content(&all, "stdout"))?;
    let numbers: Vec<&str> = text.lines().collect();
    let (last, numbers) = numbers.split_last().unwrap_or((&"", &[]));
    assert_eq!(*last, "last");
    assert!(numbers.iter().zip(1u64..).all(|(line, number)| *line == number.to_string()), "a line is lost or doubled");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_a_path_has_one_all_the_same() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("unnamed").await?;
    let mut config = stage.shell("main", "echo here");
    config.log_path.clear();
    let ended = stage.finish(&pod, &config).await?;
    assert!(ended.status.log_path.ends_with(&format!("{}.log", ended.id)), "{}", ended.status.log_path);
    assert_eq!(ended.stdout, "here\n");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_nobody_else_knows_of_go_with_the_pod() -> Result<()> {
    let stage = Stage::set().await?;
    let mut config = stage.node.pod("unnamed");
    config.log_directory.clear();
    let pod = stage.pod_of(config).await?;
    let mut container = stage.shell("main", "echo here");
    container.log_path.clear();
    let ended = stage.finish(&pod, &container).await?;
    let path = std::path::PathBuf::from(&ended.status.log_path);
    assert!(path.starts_with(stage.node.path("run/log").join(&pod.id)), "{}", path.display());
    assert_eq!(log::content(&log::read(&path)?, "stdout"), b"here\n");
    stage.cri.stop_pod(&pod.id).await?;
    assert!(path.exists(), "a stopped pod keeps its logs");
    stage.cri.remove_pod(&pod.id).await?;
    assert!(!stage.node.path("run/log").join(&pod.id).exists());
    stage.close().await
}
