//! `crio-critest [OPTION…]`: runs critest, or a part of it, against a private daemon. `cargo xtask critest` builds and starts it.
//!
//! Says what failed and why, and in which files critest and the daemon say more. Ends with a status other than zero when a spec
//! failed or anything was left on the host. A signal ends it early, critest and daemon and pods with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use crio_testkit::Runtime;
use crio_testkit::conformance::{Report, Rig, Selection};
use tokio::signal::unix::{SignalKind, signal};

/// Where files about runs are kept, below the workspace.
const RESULTS: &str = "target/critest";

/// Runs critest against a private daemon.
#[derive(Debug, Parser)]
struct Arguments {
    /// The OCI runtime
    #[arg(long, value_enum, default_value = "crun")]
    runtime: RuntimeName,
    /// Only specs whose name matches this regular expression; may be repeated
    #[arg(long)]
    focus: Vec<String>,
    /// No specs whose name matches this regular expression; may be repeated
    #[arg(long)]
    skip: Vec<String>,
    /// How many specs run at a time
    #[arg(long, num_args = 0..=1, default_value_t = 1, default_missing_value = "4")]
    parallel: usize,
    /// How often, on the same daemon
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// Exec, attach and port-forward over WebSocket instead of SPDY
    #[arg(long)]
    websocket: bool,
    /// The benchmarks instead of the conformance tests
    #[arg(long)]
    benchmark: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RuntimeName {
    Crun,
    Runc,
    Both,
}

impl RuntimeName {
    fn runtimes(self) -> &'static [Runtime] {
        match self {
            Self::Crun => &[Runtime::Crun],
            Self::Runc => &[Runtime::Runc],
            Self::Both => &[Runtime::Crun, Runtime::Runc],
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::select! {
        outcome = Box::pin(run(&arguments)) => outcome,
        // What the run holds clears up after itself when it is dropped.
        signal = told_to_end() => signal,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crio-critest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for a signal that asks for the end.
async fn told_to_end() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("told to end"),
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let tools = std::env::var_os("CRIO_TOOLS").context("CRIO_TOOLS is not set: run `cargo xtask critest`")?;
    fs::create_dir_all(RESULTS).with_context(|| format!("cannot make {RESULTS}"))?;
    let selection = Selection {
        focus: arguments.focus.clone(),
        skip: arguments.skip.clone(),
        parallel: arguments.parallel,
        websocket: arguments.websocket,
        benchmark: arguments.benchmark,
    };
    let mut failed = 0;
    for runtime in arguments.runtime.runtimes() {
        failed += with_runtime(*runtime, &PathBuf::from(&tools), &selection, arguments.repeat).await?;
    }
    ensure!(failed == 0, "{failed} specs failed");
    Ok(())
}

async fn with_runtime(runtime: Runtime, tools: &Path, selection: &Selection, repeat: usize) -> Result<usize> {
    let rig = Rig::set(runtime, tools).await?;
    let mut failed = 0;
    for round in 1..=repeat {
        let log = PathBuf::from(format!("{RESULTS}/{}-{round}.log", runtime.name()));
        let report = rig.run(selection, &log).await;
        let daemon_log = log.with_extension("daemon.log");
        fs::write(&daemon_log, rig.daemon_log())?;
        let report = report?;
        show(&report);
        println!("critest with {}: {report}; see {} and {}", runtime.name(), log.display(), daemon_log.display());
        failed += report.failed.len();
    }
    rig.close().await?;
    Ok(failed)
}

fn show(report: &Report) {
    for spec in &report.failed {
        println!("FAILED {}\n    {}", spec.name, spec.message.replace('\n', "\n    "));
    }
    for spec in &report.skipped {
        println!("skipped {}: {}", spec.name, spec.message.lines().next().unwrap_or_default());
    }
    if let Some(spec) = report.slowest() {
        println!("slowest: {} ({:.1} s)", spec.name, spec.time.as_secs_f64());
    }
}
