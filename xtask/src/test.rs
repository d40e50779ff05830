//! All that CI runs: set-up, checks, and the black-box tests as root with each OCI runtime.
//!
//! The tests drive the daemon as cargo builds it, and the monitor as it is shipped: static and small.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::run::{Stages, cargo, root};
use crate::{check, setup};

const CRUN: &str = "crun";
const RUNC: &str = "runc";
const RUNTIMES: [&str; 2] = [CRUN, RUNC];
/// The test programs of `tests/` that run with every runtime, and those that need one only. Checkpoints are runc's.
const WITH_EACH_RUNTIME: [&str; 3] = ["e2e", "streaming", "crash"];
const ONCE: [(&str, &str); 5] =
    [("refusals", CRUN), ("hostile", CRUN), ("interop", CRUN), ("conformance", CRUN), ("checkpoint", RUNC)];
/// Those that run crictl.
const WITH_CRICTL: [&str; 2] = ["conformance", "checkpoint"];

/// Runs everything, or only the black-box tests whose name holds `filter`.
pub(crate) fn test(filter: Option<&str>) -> Result<()> {
    ensure!(is_root(), "the black-box tests make namespaces, mounts and control groups: run them as root");
    let mut stages = Stages::default();
    stages.step("setup", setup::setup);
    if filter.is_none() {
        check::run(&mut stages);
    }
    stages.command("daemon", cargo(&["build", "--quiet", "--package", "crio"]));
    stages.command("monitor", monitor());
    for runtime in RUNTIMES {
        for program in WITH_EACH_RUNTIME {
            stages.command(&format!("{program} with {runtime}"), black_box(program, runtime, filter));
        }
    }
    // On a machine without Go the set-up has said so, or failed where that must not be.
    let has_tools = setup::tools().join("critest").is_file();
    for (program, runtime) in ONCE.into_iter().filter(|(program, _)| has_tools || !WITH_CRICTL.contains(program)) {
        stages.command(program, black_box(program, runtime, filter));
    }
    let ran = stages.tests();
    stages.finish()?;
    ensure!(ran > 0, "no test ran: none has that word in its name");
    Ok(())
}

/// The monitor is static so that it needs nothing of the host, and small because every pod has one.
pub(crate) fn monitor() -> Command {
    let build = ["rustc", "--quiet", "--package", "crio-conmon", "--profile", "monitor"];
    let mut command = cargo(&build);
    command.args(["--", "-C", "target-feature=+crt-static"]);
    command
}

fn black_box(program: &str, runtime: &str, filter: Option<&str>) -> Command {
    let mut command = cargo(&["test", "--quiet", "--package", "crio-tests", "--test", program]);
    command.env("RUST_BACKTRACE", "0").env("CRIO_TEST_RUNTIME", runtime).args(filter);
    environment(&mut command);
    command
}

/// Says where programs are.
pub(crate) fn environment(command: &mut Command) -> &mut Command {
    command
        .env("CRIO_BINARY", built("debug/crio"))
        .env("CRIO_CONMON", built("monitor/crio-conmon"))
        .env("CRIO_TOOLS", setup::tools())
}

/// A program in the target directory.
pub(crate) fn built(name: &str) -> PathBuf {
    root().join("target").join(name)
}

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    let mut command = Command::new("id");
    command.arg("--user");
    crate::run::output(command).is_ok_and(|id| id.trim() == "0")
}
