//! The result, as data and as a table.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use crio_cri_api::v1;
use serde::Serialize;

use crate::client::{Cri, request};
use crate::fleet::{Fleet, Pace};
use crate::log::Throughput;
use crate::options::{Network, Options};
use crate::samples::Summary;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The runtime's name and version, as it tells them.
    pub(crate) runtime: String,
    pub(crate) socket: String,
    pub(crate) image: String,
    pub(crate) network: &'static str,
    pub(crate) latency: Vec<Summary>,
    pub(crate) fleet: Option<Fleet>,
    pub(crate) log: Option<Throughput>,
}

impl Report {
    /// An empty report about this runtime.
    pub(crate) async fn new(cri: &Cri, options: &Options) -> Result<Self> {
        let version = cri.runtime.clone().version(request(v1::VersionRequest::default())).await.context("Version")?;
        let version = version.into_inner();
        Ok(Self {
            runtime: format!("{} {}", version.runtime_name, version.runtime_version),
            socket: options.socket.display().to_string(),
            image: options.image.clone(),
            network: match options.network {
                Network::Cni => "cni",
                Network::Host => "host",
            },
            latency: Vec::new(),
            fleet: None,
            log: None,
        })
    }

    /// The report for people.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{} at {}, image {}, {} network\n", self.runtime, self.socket, self.image, self.network);
        self.write(&mut text).expect("writing to a string does not fail");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        if !self.latency.is_empty() {
            writeln!(out, "\n{:<28}{:>8}{:>10}{:>10}{:>10}", "one pod at a time, ms", "count", "min", "p50", "p95")?;
        }
        for row in &self.latency {
            let Summary { name, count, min_ms, p50_ms, p95_ms } = row;
            writeln!(out, "{name:<28}{count:>8}{min_ms:>10.2}{p50_ms:>10.2}{p95_ms:>10.2}")?;
        }
        if let Some(fleet) = &self.fleet {
            write_fleet(out, fleet)?;
        }
        if let Some(log) = &self.log {
            let late = if log.complete_at_exit { "" } else { " (the log was complete only after the exit was seen)" };
            let (mb, seconds) = (log.bytes / 1_000_000, log.seconds);
            writeln!(out, "\nlog: {mb} MB in {seconds:.2} s, {:.0} MB/s{late}", log.mb_per_second)?;
        }
        Ok(())
    }
}

fn write_fleet(out: &mut String, fleet: &Fleet) -> std::fmt::Result {
    writeln!(out, "\n{} pods, {} clients", fleet.pods, fleet.clients)?;
    write_pace(out, "up", &fleet.up)?;
    write_pace(out, "down", &fleet.down)?;
    if let Some(memory) = &fleet.memory {
        let mb = |bytes: u64| {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
            let bytes = bytes as f64;
            bytes / 1e6
        };
        let (daemon, monitors) = (mb(memory.daemon_bytes), mb(memory.monitors_bytes));
        let total = daemon + monitors;
        writeln!(out, "PSS: {total:.1} MB = daemon {daemon:.1} + {} monitors {monitors:.1}", memory.monitors)?;
    }
    writeln!(out, "\n{:<28}{:>8}{:>10}{:>10}{:>10}{:>14}", "a call, ms", "count", "min", "p50", "p95", "daemon CPU")?;
    for call in &fleet.calls {
        let name = call.name;
        let Some(Summary { count, min_ms, p50_ms, p95_ms, .. }) = &call.latency else {
            writeln!(out, "{name:<28}   {}", call.failure.as_deref().unwrap_or_default())?;
            continue;
        };
        let cpu = call.daemon_cpu_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.3}"));
        writeln!(out, "{name:<28}{count:>8}{min_ms:>10.2}{p50_ms:>10.2}{p95_ms:>10.2}{cpu:>14}")?;
    }
    Ok(())
}

fn write_pace(out: &mut String, direction: &str, pace: &Pace) -> std::fmt::Result {
    write!(out, "{direction:<5}{:>6.1} pods/s, {:.2} s", pace.pods_per_second, pace.seconds)?;
    if let Some(cpu) = pace.cpu {
        write!(out, "; CPU s: daemon {:.2}, its children {:.2}", cpu.daemon, cpu.children)?;
        write!(out, ", monitors {:.2}, machine {:.2}", cpu.monitors, cpu.machine)?;
    }
    writeln!(out)
}
