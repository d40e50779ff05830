//! `cargo xtask critest`: the conformance tests of the Container Runtime Interface, whole or in part, against a private daemon.
//!
//! Builds the daemon as the black-box tests use it, and becomes `crio-critest`, which takes the arguments.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Error, Result, bail, ensure};

use crate::run::{cargo, root, run};
use crate::{setup, test};

/// Runs critest.
pub(crate) fn critest(arguments: &[String]) -> Result<()> {
    ensure!(test::is_root(), "critest makes namespaces, mounts and control groups: run it as root");
    setup::setup()?;
    if !setup::tools().join("critest").is_file() {
        bail!("without Go there is no critest");
    }
    run(cargo(&["build", "--quiet", "--package", "crio"]))?;
    run(cargo(&["build", "--quiet", "--package", "crio-testkit", "--bin", "crio-critest"]))?;
    run(test::monitor())?;
    let mut command = Command::new(test::built("debug/crio-critest"));
    command.args(arguments).current_dir(root());
    Err(Error::new(test::environment(&mut command).exec()).context("cannot run crio-critest"))
}
