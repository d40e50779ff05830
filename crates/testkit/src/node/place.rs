//! Where a node lives: a mount namespace that outlasts its daemons, and programs of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A process that does nothing in a new mount namespace; it ends with the test, since its standard input does. The key that
/// interrupts a program in a terminal does not reach it, so that what the program made can still be removed.
pub(super) fn hold_namespace() -> Result<Child> {
    const SCRIPT: &str = "mount --make-rshared / || exit
        unified=/sys/fs/cgroup/unified
        if mountpoint -q $unified; then mount -t tmpfs none $unified || exit; fi
        trap '' INT
        echo ready
        exec cat";
    let mut holder = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run unshare")?;
    let mut line = String::new();
    let output = holder.stdout.as_mut().context("its output is piped")?;
    BufReader::new(output).read_line(&mut line)?;
    if line != "ready\n" {
        let _ = holder.kill();
        bail!("a private mount namespace cannot be made: {:?}", holder.wait()?);
    }
    Ok(holder)
}

/// Gives a program a name in the node's directory: the daemon looks for its monitor beside itself, and a process whose command
/// line names the directory is known as the node's.
pub(super) fn install(program: &Path, name: &Path) -> Result<()> {
    if fs::hard_link(program, name).is_err() {
        fs::copy(program, name).with_context(|| format!("cannot copy {}", program.display()))?;
    }
    Ok(())
}

/// A program of ours: what the variable names, or what cargo has built beside the test.
pub(super) fn program(variable: &str, name: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(PathBuf::from(path));
    }
    let test = std::env::current_exe().context("the test does not know where it is")?;
    let built = test.ancestors().skip(1).map(|directory| directory.join(name)).find(|path| path.is_file());
    built.with_context(|| format!("{name} is not built: build it or set {variable}"))
}
