//! Running programs: shown, stopped at failure or counted, their closing lines kept.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

/// How the last line of a test harness of Rust begins, that of a run of critest, and that of a guest.
const CLOSING_LINES: [&str; 3] = ["test result:", "critest with", "guest:"];

/// The workspace's directory.
pub(crate) fn root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or_else(|| own.clone(), PathBuf::from)
}

/// A cargo command in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command, its output going where ours goes.
pub(crate) fn run(mut command: Command) -> Result<()> {
    eprintln!("+ {}", shown(&command));
    let status = command.status().with_context(|| format!("cannot run {}", shown(&command)))?;
    if !status.success() {
        bail!("{} failed with {status}", shown(&command));
    }
    Ok(())
}

/// Runs a command for its standard output.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", shown(&command)))?;
    if !output.status.success() {
        bail!("{} failed with {}: {}", shown(&command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Stages that all run, whatever happens to the ones before, and are summed up at the end.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    lines: Vec<String>,
    failed: Vec<String>,
}

impl Stages {
    /// Runs one stage that is a function.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.record(name, |_| work());
    }

    /// Runs one stage that is a command, and keeps the closing lines of its test harnesses.
    pub(crate) fn command(&mut self, name: &str, command: Command) {
        self.record(name, |lines| stream(command, lines));
    }

    /// Runs one stage that finds closing lines by itself.
    pub(crate) fn lines(&mut self, name: &str, work: impl FnOnce(&mut Vec<String>) -> Result<()>) {
        self.record(name, work);
    }

    /// Whether every stage so far passed.
    pub(crate) fn is_good(&self) -> bool {
        self.failed.is_empty()
    }

    fn record(&mut self, name: &str, work: impl FnOnce(&mut Vec<String>) -> Result<()>) {
        eprintln!("\n== {name}");
        let started = Instant::now();
        let mut lines = Vec::new();
        let result = work(&mut lines);
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        self.lines.push(format!("{name}: {verdict} in {:.1} s", started.elapsed().as_secs_f64()));
        self.lines.extend(lines.iter().map(|line| format!("    {line}")));
        if let Err(error) = result {
            eprintln!("{error:#}");
            self.failed.push(name.to_owned());
        }
    }

    /// How many tests the harnesses say they ran.
    pub(crate) fn tests(&self) -> u64 {
        let counts = self.lines.iter().filter_map(|line| line.split_once(" passed;"));
        counts.filter_map(|(before, _)| before.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Prints the summary.
    ///
    /// # Errors
    /// Names the stages that failed.
    pub(crate) fn finish(self) -> Result<()> {
        println!("\n== summary");
        for line in &self.lines {
            println!("{line}");
        }
        if self.failed.is_empty() { Ok(()) } else { bail!("failed: {}", self.failed.join(", ")) }
    }
}

/// Runs a command, shows what it prints and keeps the closing lines of test harnesses.
pub(crate) fn stream(mut command: Command, closing: &mut Vec<String>) -> Result<()> {
    eprintln!("+ {}", shown(&command));
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {}", shown(&command)))?;
    let output = child.stdout.take().context("its output is piped")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        // A guest's console ends its lines as terminals do.
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        println!("{line}");
        if CLOSING_LINES.iter().any(|start| line.starts_with(start)) {
            closing.push(line);
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{} failed with {status}", shown(&command));
    }
    Ok(())
}
