//! Commands in a container, as crictl runs them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use crio_cri_api::v1::IdMapping;
use crio_tests::crictl::{TRANSPORTS, kill, run, run_with_input, start};
use crio_tests::workload::pod_namespaces;
use crio_tests::{Stage, until};

use crate::terminal::Terminal;

async fn running(stage: &Stage) -> Result<String> {
    let pod = Box::pin(stage.pod("exec")).await?;
    Box::pin(stage.start(&pod, &stage.shell("main", "sleep 1000"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_are_apart_and_exit_codes_come_back() -> Result<()> {
    let stage = Stage::set().await?;
    let id = running(&stage).await?;
    for transport in TRANSPORTS {
        let shell = |script: &str| run(&stage, &["exec", "-r", transport, &id, "/bin/sh", "-c", script]);
        let output = shell("echo out; echo err >&2")?;
        assert_eq!(String::from_utf8_lossy(&output.stdout), "out\n", "{transport} {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("err\n"), "{transport} {output:?}");
        assert!(output.status.success(), "{transport} {output:?}");
        for (script, code) in [("exit 3", 3), ("kill -9 $$", 137), ("echo bye; exit 255", 255)] {
            let output = shell(script)?;
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && errors.contains(&format!("exit code {code}")), "{transport}: {errors}");
        }
        let output = run(&stage, &["exec", "-r", transport, &id, "/no/such/program"])?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && errors.contains("/no/such/program"), "{transport}: {errors}");

        // What a command leaves behind with its output open holds nobody up.
        let before = Instant::now();
        let output = shell("sleep 100 & echo done")?;
        assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n");
        assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn large_inputs_and_outputs_arrive_whole() -> Result<()> {
    let stage = Stage::set().await?;
    let id = running(&stage).await?;
    let input: Vec<u8> = (0..400_000u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
    for transport in TRANSPORTS {
        // cat ends only when it is told that its input did.
        let output = run_with_input(&stage, &["exec", "-i", "-r", transport, &id, "cat"], &input)?;
        ensure!(output.status.success(), "{transport}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == input, "{transport}: {} bytes of {}", output.stdout.len(), input.len());

        let script = "yes 0123456789abcde | head -c 50000000";
        let output = run(&stage, &["exec", "-r", transport, &id, "/bin/sh", "-c", script])?;
        ensure!(output.status.success(), "{transport}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout.len(), 50_000_000, "{transport}");
        assert!(output.stdout.chunks(16).all(|line| b"0123456789abcde\n".starts_with(line)), "{transport}");

        // A command that does not read does not have to.
        let output = run_with_input(&stage, &["exec", "-i", "-r", transport, &id, "true"], b"unread")?;
        assert!(output.status.success(), "{transport}: {output:?}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_a_terminal() -> Result<()> {
    let stage = Stage::set().await?;
    let id = running(&stage).await?;
    for transport in TRANSPORTS {
        let exec = ["exec", "-it", "-r", transport, &id, "/bin/sh"];
        let mut terminal = Terminal::crictl(&stage, &exec, 31, 97)?;
        terminal.insist("stty size", "31 97\r\n")?;
        terminal.resize(52, 120)?;
        terminal.insist("stty size", "52 120\r\n")?;
        terminal.type_line("test -t 0 && test -t 1 && test -t 2 && echo all th''ree")?;
        terminal.expect("all three")?;
        terminal.type_line("exit 7")?;
        let (status, seen) = terminal.finish()?;
        assert!(!status.success() && seen.contains("exit code 7"), "{transport}: {seen:?}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_belongs_to_the_pods_own_users() -> Result<()> {
    let stage = Stage::set().await?;
    let mut config = stage.node.pod("users");
    let user = pod_namespaces(&mut config).userns_options.get_or_insert_default();
    user.uids = vec![IdMapping { host_id: 170_000, container_id: 0, length: 65_536 }];
    user.gids.clone_from(&user.uids);
    let pod = stage.pod_of(config).await?;
    let mut config = stage.shell("main", "test -t 0 && sleep 1000");
    config.tty = true;
    let id = stage.start(&pod, &config).await?;
    let mut terminal = Terminal::crictl(&stage, &["exec", "-it", &id, "/bin/sh"], 31, 97)?;
    terminal.insist("stty size", "31 97\r\n")?;
    terminal.type_line("stat -c 'own''er %u:%g' $(tty); cut -c 11-21 /proc/self/uid_map")?;
    terminal.expect("owner 0:")?;
    terminal.expect("170000")?;
    terminal.type_line("exit")?;
    terminal.finish()?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_ends_when_its_client_leaves() -> Result<()> {
    let stage = Stage::set().await?;
    let id = running(&stage).await?;
    let count = "grep -l \"sleep.444[1]\" /proc/[0-9]*/cmdline 2>/dev/null | wc -l";
    // A client whose input nobody reads is seen to leave, too.
    let cases = TRANSPORTS.iter().flat_map(|transport| [(transport, false), (transport, true)]);
    for (transport, stuck) in cases {
        let exec = ["exec", "-i", "-r", transport, &id, "/bin/sleep", "4441"];
        let mut client = start(&stage, &exec, if stuck { Stdio::piped() } else { Stdio::null() })?;
        if let Some(mut stdin) = client.stdin.take() {
            std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &vec![0; 200_000]));
        }
        until("the command runs", async || Ok((stage.exec(&id, count).await?.trim() == "1").then_some(()))).await?;
        if stuck {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        kill(&mut client)?;
        let gone = async || Ok((stage.exec(&id, count).await?.trim() == "0").then_some(()));
        until("the command is gone", gone).await?;
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_run_side_by_side() -> Result<()> {
    let stage = Stage::set().await?;
    let id = running(&stage).await?;
    for transport in TRANSPORTS {
        let clients = (0..12).map(|number| {
            let script = format!("sleep 0.3; echo {number}");
            start(&stage, &["exec", "-r", transport, &id, "/bin/sh", "-c", &script], Stdio::null())
        });
        let clients: Vec<_> = clients.collect::<Result<_>>()?;
        for (number, client) in clients.into_iter().enumerate() {
            let output = client.wait_with_output()?;
            assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{number}\n"), "{transport} {output:?}");
        }
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_client_connects_terminals_and_pipes() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("client").await?;
    let id = running(&stage).await?;
    let mut config = stage.shell("talker", "while read line; do echo \"got $line\"; done");
    (config.stdin, config.stdin_once) = (true, true);
    let talker = stage.start(&pod, &config).await?;
    let program = stage.node.path("bin/crio").to_string_lossy().into_owned();
    let socket = stage.node.socket().to_string_lossy().into_owned();
    let words = |action: &'static str, rest: &[&str]| -> Vec<String> {
        let begin = ["timeout", "--foreground", "60", &program, "container", action, "--socket", &socket];
        begin.into_iter().chain(rest.iter().copied()).map(str::to_owned).collect()
    };
    let piped = |words: Vec<String>, input: &str| -> Result<std::process::Output> {
        let mut command = std::process::Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            std::io::Write::write_all(&mut stdin, input.as_bytes())?;
        }
        Ok(child.wait_with_output()?)
    };
    let output = piped(words("exec", &["-i", &id, "--", "sh", "-c", "cat; echo err >&2; exit 9"]), "input")?;
    let seen = (output.stdout.as_slice(), output.stderr.as_slice(), output.status.code());
    assert_eq!(seen, (&b"input"[..], &b"err\n"[..], Some(9)), "{output:?}");
    let output = piped(words("attach", &["-i", &talker]), "one\ntwo\n")?;
    assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"got one\ngot two\n"[..], Some(0)), "{output:?}");

    let words = words("exec", &["-it", &id, "--", "sh"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut terminal = Terminal::open(&words, 29, 93)?;
    terminal.insist("stty size", "29 93\r\n")?;
    terminal.resize(41, 111)?;
    terminal.insist("stty size", "41 111\r\n")?;
    terminal.type_line("exit 5")?;
    let (status, seen) = terminal.finish()?;
    assert_eq!(status.code(), Some(5), "{seen:?}");
    stage.close().await
}
