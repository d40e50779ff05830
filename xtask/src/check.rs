//! What must hold before anything is merged, without a daemon running.

use std::process::Command;

use anyhow::Result;

use crate::run::{Stages, cargo};
use crate::tidy;

/// Runs all checks, and sums them up.
pub(crate) fn check() -> Result<()> {
    let mut stages = Stages::default();
    run(&mut stages);
    stages.finish()
}

/// The checks as stages of a longer run.
pub(crate) fn run(stages: &mut Stages) {
    stages.command("format", cargo(&["fmt", "--all", "--check"]));
    stages.command("lints", cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    stages.step("tidy", tidy::tidy);
    let unit = ["test", "--quiet", "--workspace", "--exclude", "crio-tests"];
    stages.command("unit tests", cargo(&unit));
    stages.command("documentation", documentation());
}

fn documentation() -> Command {
    let mut command = cargo(&["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}
