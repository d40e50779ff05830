//! `crio-bench-node PROGRAM [ARGUMENT…]`: runs a program that takes crio-bench's options against a private daemon.
//!
//! Starts a registry with the busybox and pause images and a node whose daemon logs as on a real node, adds the options that name
//! them, and waits. A signal is left to the program, which removes its pods; what is left then, this removes. Ends with
//! a status other than zero when the program failed or anything was left on the host.

use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context as _, Result, ensure};
use crio_testkit::{Node, Options, Registry, Runtime, image};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let line: Vec<String> = std::env::args().skip(1).collect();
    match Box::pin(run(&line)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crio-bench-node: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(line: &[String]) -> Result<()> {
    let (program, arguments) = line.split_first().context("which program?")?;
    let registry = Registry::start().await?;
    let busybox = registry.push(&image::busybox()?, "library/busybox:latest").await?;
    let pause = registry.push(&image::pause()?, "library/pause:latest").await?;
    let mut node = Node::start(Options {
        runtime: Runtime::from_environment(),
        insecure_registries: vec![registry.host()],
        pause_image: pause.clone(),
        crio_conf: "[crio.runtime]\nlog_level = \"info\"\n[crio.stats]\nincluded_pod_metrics = [\"all\"]\n".to_owned(),
        ..Options::default()
    })
    .await?;
    let mut command = Command::new(program);
    command
        .arg("--socket")
        .arg(node.socket())
        .args(["--image", &busybox, "--pause-image", &pause])
        .args(["--daemon-pid", &node.daemon_pid()?.to_string()])
        .args(["--cgroup-parent", node.cgroup_parent()])
        .args(arguments);
    let status = wait(command).await;
    if !status.as_ref().is_ok_and(ExitStatus::success) {
        // The key that interrupts has reached the daemon too; one that has ended already cannot be told to.
        let _ = node.stop().await;
    }
    node.close().await?;
    let status = status?;
    ensure!(status.success(), "{program} ended with {status}");
    Ok(())
}

/// Runs the command to its end. It gets the terminal's interrupt by itself, and other requests to end through us.
async fn wait(mut command: Command) -> Result<ExitStatus> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut child = command.spawn().context("cannot run the program")?;
    let pid = Pid::from_child(&child);
    let mut ended = tokio::task::spawn_blocking(move || child.wait());
    loop {
        tokio::select! {
            status = &mut ended => return Ok(status??),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => kill_process(pid, Signal::TERM)?,
        }
    }
}
