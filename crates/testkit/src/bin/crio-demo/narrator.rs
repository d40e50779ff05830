//! What a person sees: numbered sentences, commands as they are run, their output, and pauses to read.
//!
//! A command line is shown and handed to `sh -c` as it is shown. What it writes is indented and kept for the script. Colours only
//! on a terminal, and not with `NO_COLOR`.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// Time to read a sentence, and the output of a command.
const READ: Duration = Duration::from_millis(1500);
/// No command of the demonstration takes nearly as long.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// What stands before everything that belongs to a step.
const INDENT: &str = "     ";

/// How fast it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// A person reads along.
    Person,
    /// Nobody does.
    Fast,
}

/// Where standard error goes.
#[derive(Debug, Clone, Copy)]
enum Errors {
    /// Where standard output goes.
    WithOutput,
    /// Where ours goes.
    Through,
}

#[derive(Debug, Clone, Copy)]
enum Style {
    Plain,
    Sentence,
    Command,
    Aside,
}

/// Tells the story.
#[derive(Debug)]
pub(crate) struct Narrator {
    pace: Pace,
    coloured: bool,
    started: Instant,
    steps: usize,
    environment: Vec<(&'static str, OsString)>,
}

impl Narrator {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            coloured: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            started: Instant::now(),
            steps: 0,
            environment: Vec::new(),
        }
    }

    /// Sets a variable for all later commands.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.environment.push((name, value.into()));
    }

    /// Begins a step.
    pub(crate) async fn step(&mut self, sentence: &str) {
        self.steps += 1;
        println!();
        self.print(&format!("{:3}  {sentence}", self.steps), Style::Sentence);
        self.pause().await;
    }

    /// Says something more about the step.
    pub(crate) fn aside(&self, text: &str) {
        for line in text.lines() {
            self.print(&format!("{INDENT}{line}"), Style::Plain);
        }
    }

    /// Shows a command and runs it; gives what it wrote.
    ///
    /// # Errors
    /// It fails or takes too long.
    pub(crate) async fn run(&self, line: &str) -> Result<String> {
        self.perform(line, Errors::WithOutput).await
    }

    /// The same for a command that draws its progress on a terminal.
    ///
    /// # Errors
    /// As [`Narrator::run`].
    pub(crate) async fn run_drawing(&self, line: &str) -> Result<String> {
        self.perform(line, Errors::Through).await
    }

    async fn perform(&self, line: &str, errors: Errors) -> Result<String> {
        self.show(line);
        let started = Instant::now();
        let output = self.execute(line, errors, |text| self.aside(text)).await?;
        let elapsed = started.elapsed().as_secs_f64();
        self.print(&format!("{INDENT}({elapsed:.2} s)"), Style::Aside);
        self.pause().await;
        Ok(output)
    }

    /// Shows a command line that the script itself carries out.
    pub(crate) fn show(&self, line: &str) {
        self.print(&format!("{INDENT}$ {line}"), Style::Command);
    }

    /// Runs a command that nobody needs to see.
    ///
    /// # Errors
    /// As [`Narrator::run`].
    pub(crate) async fn run_quietly(&self, line: &str) -> Result<String> {
        self.execute(line, Errors::Through, |_| ()).await
    }

    /// Time to read.
    pub(crate) async fn pause(&self) {
        if self.pace == Pace::Person {
            tokio::time::sleep(READ).await;
        }
    }

    /// The closing line.
    pub(crate) fn end(&self) {
        let (steps, seconds) = (self.steps, self.started.elapsed().as_secs_f64());
        println!();
        self.print(&format!("{steps} steps in {seconds:.1} s, and nothing left on the host."), Style::Sentence);
    }

    async fn execute(&self, line: &str, errors: Errors, mut seen: impl FnMut(&str)) -> Result<String> {
        let script = match errors {
            Errors::WithOutput => format!("exec 2>&1; {line}"),
            Errors::Through => line.to_owned(),
        };
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {line}"))?;
        let stdout = child.stdout.take().context("its output is piped")?;
        let finished = tokio::time::timeout(COMMAND_TIMEOUT, async {
            let mut lines = BufReader::new(stdout).lines();
            let mut output = String::new();
            while let Some(text) = lines.next_line().await? {
                seen(&text);
                output += &text;
                output.push('\n');
            }
            let status = child.wait().await?;
            if !status.success() {
                bail!("`{line}` failed with {status}");
            }
            Ok(output)
        });
        let Ok(outcome) = finished.await else {
            child.kill().await?;
            bail!("`{line}` did not end within {} s", COMMAND_TIMEOUT.as_secs());
        };
        outcome
    }

    fn print(&self, text: &str, style: Style) {
        let code = match style {
            Style::Plain => "",
            Style::Sentence => "\x1b[1m",
            Style::Command => "\x1b[36m",
            Style::Aside => "\x1b[2m",
        };
        if self.coloured && !code.is_empty() {
            println!("{code}{text}\x1b[0m");
        } else {
            println!("{text}");
        }
        // Nobody is left to see it when standard output is gone.
        let _ = std::io::stdout().flush();
    }
}
