//! `cargo xtask demo`: a pod from a real registry on our daemon, on a machine with nothing but Debian's base and Rust.
//!
//! Installs packages, builds what is shipped (the daemon optimised, the monitor static), and becomes `crio-demo`, so that signals
//! reach the program that has to clear up.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Error, Result, ensure};

use crate::run::{cargo, root, run};
use crate::{setup, test};

/// Runs the demonstration.
pub(crate) fn demo(arguments: &[String]) -> Result<()> {
    ensure!(test::is_root(), "the demonstration makes namespaces, mounts and control groups: run it as root");
    setup::packages()?;
    build()?;
    become_program("crio-demo", arguments)
}

/// Builds everything that runs here as it is shipped. One command, so that demonstration and benchmark share the build.
pub(crate) fn build() -> Result<()> {
    const PACKAGES: [&str; 3] = ["crio", "crio-testkit", "crio-bench"];
    let mut programs = cargo(&["build", "--release", "--bins"]);
    for package in PACKAGES {
        programs.args(["--package", package]);
    }
    run(programs)?;
    run(test::monitor())
}

/// Replaces this program by one of the release build, which finds daemon and monitor.
pub(crate) fn become_program(name: &str, arguments: &[String]) -> Result<()> {
    let mut command = Command::new(release(name));
    command
        .args(arguments)
        .current_dir(root())
        .env("CRIO_BINARY", release("crio"))
        .env("CRIO_CONMON", root().join("target/monitor/crio-conmon"));
    Err(Error::new(command.exec()).context(format!("cannot run {name}")))
}

/// A program of the release build.
pub(crate) fn release(name: &str) -> PathBuf {
    root().join("target/release").join(name)
}
