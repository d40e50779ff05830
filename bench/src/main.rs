//! `crio-bench`: measures any CRI socket, so that this runtime and its peers are measured by one program.
//!
//! It runs pods of its own, with an image that has `sh`, `sleep`, `yes`, `head` and `true` (busybox will do), and
//! reports latencies, throughput, processor time and memory as a table and as JSON. What it makes carries a label with
//! the id of the run and is removed at the end, also after a failure or an interrupt; `--sweep` removes what killed runs
//! left. Compare numbers only when they were taken on one machine in one hour.

mod cleanup;
mod client;
mod fleet;
mod latency;
mod lists;
mod log;
mod options;
mod pod;
mod process;
mod report;
mod samples;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use client::{Cri, Interrupt};
use options::{Measurement, Options, Output};
use pod::Template;
use report::Report;

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run(Options::parse())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crio-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<()> {
    let cri = Cri::connect(&options.socket, Interrupt::default()).await?;
    if options.sweep {
        return cleanup::sweep(&cri).await;
    }
    let logs = tempfile::Builder::new().prefix("crio-bench-").tempdir_in(&options.log_directory);
    let logs = logs.with_context(|| format!("making a directory in {}", options.log_directory.display()))?;
    let template = Template::new(&options, logs.path());

    let interrupt = Interrupt::default();
    let outcome = until_signalled(&interrupt, measure(&options, &template, &interrupt)).await;
    let cleaned = cleanup::run(&cri, template.run_id()).await;
    match (outcome, cleaned) {
        (Ok(report), Ok(())) => publish(&options, &report),
        (Err(error), Ok(())) | (Ok(_), Err(error)) => Err(error),
        (Err(error), Err(left)) => Err(error.context(format!("{left:#}"))),
    }
}

/// Waits for `work`. A signal makes it end after the calls that are on their way, because runtimes may leave a
/// container in between when a caller breaks a call off.
async fn until_signalled<T>(interrupt: &Interrupt, work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut work = Box::pin(work);
    loop {
        tokio::select! {
            outcome = &mut work => return outcome,
            _ = terminate.recv() => interrupt.raise(),
            _ = interrupted.recv() => interrupt.raise(),
        }
    }
}

async fn measure(options: &Options, template: &Template, interrupt: &Interrupt) -> Result<Report> {
    let cri = Cri::connect(&options.socket, interrupt.clone()).await?;
    for image in options.pause_image.iter().chain([&options.image]) {
        cri.ensure_image(image).await?;
    }
    let mut report = Report::new(&cri, options).await?;
    if options.measures(Measurement::Latency) {
        report.latency = latency::measure(&cri, template, options.rounds).await.context("measuring latency")?;
    }
    if options.measures(Measurement::Fleet) {
        report.fleet = Some(fleet::measure(options, template, interrupt).await.context("measuring many pods")?);
    }
    if options.measures(Measurement::Log) {
        report.log = Some(log::measure(&cri, template, options.log_mib).await.context("measuring logs")?);
    }
    Ok(report)
}

fn publish(options: &Options, report: &Report) -> Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    if let Some(path) = &options.save {
        std::fs::write(path, format!("{json}\n")).with_context(|| format!("writing {}", path.display()))?;
    }
    match options.output {
        Output::Table => print!("{}", report.table()),
        Output::Json => println!("{json}"),
    }
    Ok(())
}
