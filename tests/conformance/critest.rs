//! critest, whole: with each OCI runtime, several specs at a time and one after the other, and streaming over WebSocket.
//!
//! No spec may fail, none may need a second attempt, and none may skip itself but those about AppArmor on a kernel without it.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use crio_testkit::Runtime;
use crio_testkit::conformance::{Report, Rig, Selection};

/// Specs that critest 1.36.0 has without its benchmarks; on a host with SELinux there are more.
const SPECS: usize = 117;
/// Of those, the ones about AppArmor.
const APPARMOR_SPECS: usize = 9;
/// Those about exec, attach and port-forward.
const STREAMING_SPECS: usize = 5;
/// Specs at a time: most of them wait most of the time.
const AT_A_TIME: usize = 4;
/// Where a run's output is kept, in the target directory.
const RESULTS: &str = "critest";

#[tokio::test(flavor = "multi_thread")]
async fn every_spec_passes_with_crun() -> Result<()> {
    every_spec_passes(Runtime::Crun).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spec_passes_with_runc() -> Result<()> {
    every_spec_passes(Runtime::Runc).await
}

async fn every_spec_passes(runtime: Runtime) -> Result<()> {
    // The ports that critest uses are fixed.
    let _alone = super::ALONE.lock().await;
    let tools = PathBuf::from(std::env::var_os("CRIO_TOOLS").context("CRIO_TOOLS is not set")?);
    let results = tools.with_file_name(RESULTS);
    fs::create_dir_all(&results)?;
    let rig = Rig::set(runtime, &tools).await?;
    let mut problems = Vec::new();
    let streaming = vec!["Streaming".to_owned()];
    let ways = [
        ("parallel", Selection { parallel: AT_A_TIME, ..Selection::default() }, SPECS),
        ("serial", Selection::default(), SPECS),
        ("websocket", Selection { focus: streaming, websocket: true, ..Selection::default() }, STREAMING_SPECS),
    ];
    for (way, selection, specs) in ways {
        let name = format!("{}-{way}", runtime.name());
        let report = rig.run(&selection, &results.join(format!("{name}.log"))).await?;
        // Past the test harness, which keeps what a passing test prints to itself.
        writeln!(std::io::stdout(), "critest with {}, {way}: {report}", runtime.name())?;
        problems.extend(judge(&report, specs).into_iter().map(|problem| format!("{way}: {problem}")));
    }
    fs::write(results.join(format!("{}.daemon.log", runtime.name())), rig.daemon_log())?;
    rig.close().await?;
    if problems.is_empty() { Ok(()) } else { bail!("{}", problems.join("\n")) }
}

/// All that is not as it should be.
fn judge(report: &Report, specs: usize) -> Vec<String> {
    let failed = report.failed.iter().map(|spec| format!("FAILED {}: {}", spec.name, spec.message));
    let flaky = report.flaky().into_iter().map(|spec| format!("{} attempts: {}", spec.attempts, spec.name));
    let unexpected = report.skipped.iter().filter(|spec| has_apparmor() || !spec.name.contains("AppArmor"));
    let skipped = unexpected.map(|spec| format!("skipped {}: {}", spec.name, spec.message));
    let mut problems: Vec<String> = failed.chain(flaky).chain(skipped).collect();
    let apparmor = if has_apparmor() || specs < SPECS { 0 } else { APPARMOR_SPECS };
    if report.passed.len() + apparmor < specs {
        problems.push(format!("only {} of {specs} specs passed", report.passed.len()));
    }
    problems
}

fn has_apparmor() -> bool {
    fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with('Y'))
}
