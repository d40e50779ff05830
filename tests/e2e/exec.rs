//! Commands in running containers, as probes run them.

use std::time::{Duration, Instant};

use anyhow::Result;
use crio_cri_api::v1::{ContainerState, ExecSyncRequest};
use crio_tests::{PATIENCE, Stage, refused};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn output_and_exit_code_come_back_exactly() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("exec").await?;
    let mut config = stage.shell("main", "sleep 1000");
    config.working_dir = "/tmp".to_owned();
    let id = stage.start(&pod, &config).await?;
    let cases: [(&str, &str, &str, i32); 6] = [
        ("printf hello", "hello", "", 0),
        ("printf wrong >&2; exit 7", "", "wrong", 7),
        ("echo out; echo err >&2", "out\n", "err\n", 0),
        ("pwd; cat", "/tmp\n", "", 0),
        ("kill -9 $$", "", "", 137),
        ("true & wait; tail -c 3 /proc/self/comm", "il\n", "", 0),
    ];
    for (script, stdout, stderr, code) in cases {
        let executed = stage.cri.exec(&id, &["/bin/sh", "-c", script], PATIENCE).await?;
        let seen = (executed.stdout.as_str(), executed.stderr.as_str(), executed.code);
        assert_eq!(seen, (stdout, stderr, code), "{script}");
    }

    let raw = ExecSyncRequest {
        container_id: id.clone(),
        cmd: ["/bin/sh", "-c", "printf '\\377\\000\\n'"].map(str::to_owned).into(),
        timeout: 0,
    };
    let answer = stage.cri.runtime().exec_sync(raw).await?.into_inner();
    assert_eq!(answer.stdout, b"\xff\x00\n");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlives_its_timeout_is_dead_with_all_its_children() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("timeout").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let script = "trap '' TERM; sleep 4331 & setsid sleep 4332 & sleep 4333";
    let started = Instant::now();
    let answer = stage.cri.exec(&id, &["/bin/sh", "-c", script], Duration::from_secs(1)).await;
    refused(answer, Code::DeadlineExceeded, &[])?;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    let left = stage.exec(&id, "grep -l 433[123] /proc/[0-9]*/cmdline | grep -v $$ | wc -l").await?;
    assert_eq!(left, "0\n");
    assert_eq!(stage.cri.status(&id).await?.state(), ContainerState::ContainerRunning);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn large_output_is_cut_below_what_kubelet_takes() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("large").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let ask = |script: &str| ExecSyncRequest {
        container_id: id.clone(),
        cmd: ["/bin/sh", "-c", script].map(str::to_owned).into(),
        timeout: 20,
    };
    let mut client = stage.cri.runtime().max_decoding_message_size(16 << 20);
    let answer = client.exec_sync(ask("head -c 3000000 /dev/zero")).await?.into_inner();
    assert_eq!(answer.stdout.len(), 3_000_000);
    let both = "head -c 12000000 /dev/zero & head -c 12000000 /dev/zero >&2; wait; exit 5";
    let answer = client.exec_sync(ask(both)).await?.into_inner();
    assert!(answer.stdout.len() + answer.stderr.len() > 15 << 20, "{}", answer.stdout.len());
    assert_eq!(answer.exit_code, 5, "what is cut is read all the same");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_run_at_once() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("many").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let mut commands = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (cri, id) = (stage.cri.clone(), id.clone());
        commands.spawn(async move {
            let script = format!("echo {number}; exit {number}");
            (number, cri.exec(&id, &["/bin/sh", "-c", &script], PATIENCE).await)
        });
    }
    for (number, executed) in commands.join_all().await {
        let executed = executed?;
        assert_eq!((executed.stdout, executed.code), (format!("{number}\n"), number));
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_run_is_an_error() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("absent").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let answer = stage.cri.exec(&id, &["/no/such/program"], PATIENCE).await;
    let named = match &answer {
        Ok(executed) => executed.code != 0 && executed.stderr.contains("/no/such/program"),
        Err(status) => status.message().contains("/no/such/program"),
    };
    assert!(named, "{answer:?}");

    let created = stage.cri.create(&pod.id, &pod.config, &stage.shell("created", "sleep 1000")).await?;
    let answer = stage.cri.exec(&created, &["true"], PATIENCE).await;
    refused(answer, Code::NotFound, &[&created, "not running"])?;
    stage.cri.stop(&id, Duration::ZERO).await?;
    refused(stage.cri.exec(&id, &["true"], PATIENCE).await, Code::NotFound, &[&id])?;
    stage.close().await
}
