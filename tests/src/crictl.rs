//! crictl, the client administrators use. `cargo xtask setup` builds it; `CRIO_TOOLS` says where.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::Stage;

/// What crictl carries streams over.
pub const TRANSPORTS: [&str; 2] = ["spdy", "websocket"];
/// Whatever crictl does takes less than this, or hangs.
const LIMIT_SECONDS: &str = "60";

/// The words that begin every call.
///
/// # Errors
/// `CRIO_TOOLS` is not set.
pub fn words(stage: &Stage) -> Result<Vec<String>> {
    let tools = std::env::var_os("CRIO_TOOLS").context("CRIO_TOOLS is not set: run `cargo xtask test`")?;
    let program = PathBuf::from(tools).join("crictl").to_string_lossy().into_owned();
    let socket = format!("unix://{}", stage.node.socket().display());
    let words = ["timeout", "--foreground", LIMIT_SECONDS, &program, "--runtime-endpoint", &socket];
    Ok(words.into_iter().chain(["--image-endpoint", &socket]).map(str::to_owned).collect())
}

/// A call.
///
/// # Errors
/// As [`words`].
pub fn command(stage: &Stage, arguments: &[&str]) -> Result<Command> {
    let words = words(stage)?;
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(arguments).stdin(Stdio::null());
    Ok(command)
}

/// A call to its end.
///
/// # Errors
/// It cannot be made; that it fails is in the output.
pub fn run(stage: &Stage, arguments: &[&str]) -> Result<Output> {
    command(stage, arguments)?.output().context("cannot run crictl")
}

/// A call that reads `input`, to its end.
///
/// # Errors
/// It cannot be made, or does not read.
pub fn run_with_input(stage: &Stage, arguments: &[&str], input: &[u8]) -> Result<Output> {
    let mut child = start(stage, arguments, Stdio::piped())?;
    let mut stdin = child.stdin.take().context("it has an input")?;
    let input = input.to_vec();
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output()?;
    writing.join().ok().context("writing does not panic")??;
    Ok(output)
}

/// A call that goes on, with pipes for its outputs.
///
/// # Errors
/// It cannot be made.
pub fn start(stage: &Stage, arguments: &[&str], stdin: Stdio) -> Result<Child> {
    let mut command = command(stage, arguments)?;
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot run crictl")
}

/// Takes a call away as if its machine had lost power.
///
/// # Errors
/// The kernel does not say who runs, or not let us.
pub fn kill(child: &mut Child) -> Result<()> {
    // What was started keeps the time; crictl is its only child.
    let keeper = child.id();
    let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children"))?;
    // It may have ended by itself meanwhile.
    if let Some(crictl) = children.trim().parse().ok().and_then(Pid::from_raw) {
        kill_process(crictl, Signal::KILL)?;
    }
    child.wait()?;
    Ok(())
}
