//! How fast a container can log: from StartContainer until its log holds every line.
//!
//! The container is done when its state is *exited*; by contract its log is complete then, which is checked. A log
//! that is late is waited for, so that no runtime is credited with lines it has not written.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use crio_cri_api::v1::ContainerState;
use serde::Serialize;

use crate::client::Cri;
use crate::pod::{CHUNK_LINES, LINE_BYTES, Process, Template};

const POD: &str = "log";
const CONTAINER: &str = "prints";
/// CRI has no way to wait for an exit; this is the error of the measurement.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// A runtime that has not logged it all by then is stuck.
const DEADLINE: Duration = Duration::from_secs(600);
/// How much of a record's beginning is not the container's: time, stream and tag.
const HEADER_FIELDS: usize = 3;

/// How fast it was.
#[derive(Debug, Serialize)]
pub(crate) struct Throughput {
    /// Bytes the container wrote.
    pub(crate) bytes: u64,
    /// Seconds until the log held them.
    pub(crate) seconds: f64,
    /// Millions of bytes a second.
    pub(crate) mb_per_second: f64,
    /// Whether the log was complete when the container was seen to have exited.
    pub(crate) complete_at_exit: bool,
}

/// Runs a container that prints, once.
pub(crate) async fn measure(cri: &Cri, template: &Template, mib: u64) -> Result<Throughput> {
    let chunks = (mib << 20).div_ceil(CHUNK_LINES * LINE_BYTES);
    template.make_log_directory(POD, CONTAINER)?;
    let sandbox = template.run(cri, POD).await?;
    let config = template.container(CONTAINER, Process::Prints { chunks });
    let container = cri.create_container(&sandbox.id, config, sandbox.config.clone()).await?;
    let started = Instant::now();
    cri.start_container(&container).await?;
    exited(cri, &container, started).await?;
    let mut elapsed = started.elapsed();

    let (path, bytes) = (template.log_file(POD, CONTAINER), chunks * CHUNK_LINES * LINE_BYTES);
    let complete_at_exit = payload(path.clone()).await? == bytes;
    if !complete_at_exit {
        late(&path, bytes, started).await?;
        elapsed = started.elapsed();
    }
    cri.stop_pod_sandbox(&sandbox.id).await?;
    cri.remove_pod_sandbox(&sandbox.id).await?;
    let seconds = elapsed.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
    let mb_per_second = bytes as f64 / 1e6 / seconds;
    Ok(Throughput { bytes, seconds, mb_per_second, complete_at_exit })
}

async fn exited(cri: &Cri, container: &str, started: Instant) -> Result<()> {
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    loop {
        ticks.tick().await;
        let status = cri.container_state(container).await?;
        match status.state() {
            ContainerState::ContainerExited if status.exit_code == 0 => return Ok(()),
            ContainerState::ContainerExited => {
                bail!("the container exited with {}: {}", status.exit_code, status.message)
            }
            _ if started.elapsed() > DEADLINE => bail!("the container has not logged everything in {DEADLINE:?}"),
            _ => {}
        }
    }
}

async fn late(path: &Path, bytes: u64, started: Instant) -> Result<()> {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let found = payload(path.to_owned()).await?;
        if found == bytes {
            return Ok(());
        }
        if started.elapsed() > DEADLINE {
            bail!("{} holds {found} of {bytes} bytes", path.display());
        }
    }
}

async fn payload(path: PathBuf) -> Result<u64> {
    tokio::task::spawn_blocking(move || {
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        count(BufReader::with_capacity(1 << 20, file)).with_context(|| format!("reading {}", path.display()))
    })
    .await
    .context("the reader of the log panicked")?
}

/// Bytes the container wrote, by the records of its log: a record's own line feed counts when its tag is `F`.
fn count(mut log: impl std::io::BufRead) -> Result<u64> {
    let (mut total, mut record) = (0_u64, Vec::new());
    loop {
        record.clear();
        if log.read_until(b'\n', &mut record)? == 0 {
            return Ok(total);
        }
        let mut fields = record.splitn(HEADER_FIELDS + 1, |byte| *byte == b' ');
        let tag = fields.nth(HEADER_FIELDS - 1).unwrap_or_default();
        let content = fields.next().unwrap_or_default();
        let ends_line = tag == b"F" && content.ends_with(b"\n");
        total += u64::try_from(content.len())?;
        total -= u64::from(!ends_line && content.ends_with(b"\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_the_container_wrote() {
        let cases: [(&str, u64); 5] = [
            ("", 0),
            ("2026-01-01T00:00:00.000000000+00:00 stdout F hello\n", 6),
            ("t stdout P hel\nt stdout F lo\n", 6),
            ("t stdout F a b c\nt stderr F \n", 7),
            ("t stdout F unfinished", 10),
        ];
        for (log, expected) in cases {
            assert_eq!(count(log.as_bytes()).expect("in memory"), expected, "{log:?}");
        }
    }
}
