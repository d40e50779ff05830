//! Clients of a container's own streams.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crio_cri_api::v1::ContainerState;
use crio_tests::crictl::{TRANSPORTS, kill, run_with_input, start};
use crio_tests::{PATIENCE, Stage, log, until};

use crate::terminal::Terminal;

#[tokio::test(flavor = "multi_thread")]
async fn input_given_once_ends_with_its_client() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("attach").await?;
    for transport in TRANSPORTS {
        let script = "echo early; while read line; do echo \"got $line\"; done; echo over >&2; exit 4";
        let mut config = stage.shell(transport, script);
        (config.stdin, config.stdin_once) = (true, true);
        let id = stage.start(&pod, &config).await?;
        let path = stage.cri.status(&id).await?.log_path;
        let early = async || Ok(std::fs::read_to_string(&path)?.contains("early").then_some(()));
        until("the container writes", early).await?;
        let output = run_with_input(&stage, &["attach", "-i", "-r", transport, &id], b"one\ntwo\n")?;
        ensure!(output.status.success(), "{transport}: {output:?}");
        // Only what is written from now on is seen.
        assert_eq!(String::from_utf8_lossy(&output.stdout), "got one\ngot two\n", "{transport}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("over\n"), "{transport} {output:?}");
        let status = stage.cri.wait(&id, ContainerState::ContainerExited, PATIENCE).await?;
        assert_eq!(status.exit_code, 4);
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_stays_open_serves_one_client_after_another() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("attach").await?;
    let mut config = stage.shell("main", "while read line; do echo \"got $line\"; done");
    config.stdin = true;
    let id = stage.start(&pod, &config).await?;
    for transport in TRANSPORTS {
        for word in ["one", "two"] {
            // Without stdin_once the end of a client's input is the end of the client.
            let line = format!("{word}\n");
            let output = run_with_input(&stage, &["attach", "-i", "-r", transport, &id], line.as_bytes())?;
            ensure!(output.status.success(), "{transport}: {output:?}");
        }
    }
    let path = stage.cri.status(&id).await?.log_path;
    let all = async || {
        let text = log::content(&log::read(path.as_ref())?, "stdout");
        Ok((text == b"got one\ngot two\ngot one\ngot two\n").then_some(()))
    };
    until("every line has arrived", all).await?;
    assert_eq!(stage.cri.status(&id).await?.state(), ContainerState::ContainerRunning);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_shared_and_outlives_its_clients() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("attach").await?;
    let mut config = stage.shell("main", "exec /bin/sh");
    (config.stdin, config.tty) = (true, true);
    let id = stage.start(&pod, &config).await?;
    for transport in TRANSPORTS {
        let attach = ["attach", "-it", "-r", transport, &id];
        let mut terminal = Terminal::crictl(&stage, &attach, 33, 91)?;
        terminal.insist("stty size", "33 91\r\n")?;
        terminal.resize(44, 101)?;
        terminal.insist("stty size", "44 101\r\n")?;
        let mut other = Terminal::crictl(&stage, &attach, 44, 101)?;
        other.insist("echo to''gether", "together\r\n")?;
        terminal.expect("together\r\n")?;
        terminal.kill()?;
        other.insist("echo still the''re", "still there\r\n")?;
        other.kill()?;
        assert_eq!(stage.cri.status(&id).await?.state(), ContainerState::ContainerRunning);
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_slows_nothing() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("attach").await?;
    for transport in TRANSPORTS {
        let mut config =
            stage.shell(transport, "read go; yes 0123456789abcde | head -c 20000000; echo done >&2; read go");
        config.stdin = true;
        let id = stage.start(&pod, &config).await?;
        let mut slow = start(&stage, &["attach", "-r", transport, &id], Stdio::null())?;
        let mut good = start(&stage, &["attach", "-r", transport, &id], Stdio::null())?;
        let mut output = good.stdout.take().context("it has an output")?;
        let reading = std::thread::spawn(move || {
            let mut total = 0;
            let mut buffer = vec![0u8; 64 << 10];
            while total < 500_000 {
                match output.read(&mut buffer) {
                    Ok(length @ 1..) => total += length,
                    _ => break,
                }
            }
            total
        });
        // Both are attached when their sessions are; nothing tells that to a client.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let fed = run_with_input(&stage, &["attach", "-i", "-r", transport, &id], b"go\n")?;
        ensure!(fed.status.success(), "{transport}: {fed:?}");
        let path = stage.cri.status(&id).await?.log_path;
        let written = async || Ok(std::fs::read_to_string(&path)?.contains(" stderr F done\n").then_some(()));
        until("the container has written everything", written).await?;
        assert_eq!(log::content(&log::read(path.as_ref())?, "stdout").len(), 20_000_000, "{transport}");
        assert!(reading.join().ok().context("reading does not panic")? >= 500_000, "{transport}");
        for client in [&mut slow, &mut good] {
            kill(client)?;
        }
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_followed_to_the_end() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("logs").await?;
    let script = "for number in 1 2 3 4 5; do echo line $number; sleep 0.2; done";
    let id = stage.start(&pod, &stage.shell("main", script)).await?;
    let followed = start(&stage, &["logs", "-f", &id], Stdio::null())?.wait_with_output()?;
    let expected: String = (1..=5).map(|number| format!("line {number}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&followed.stdout), expected, "{followed:?}");
    stage.close().await
}
