//! Everything a developer or CI runs: `cargo xtask <command>`.
//!
//! * `setup`: installs what building and testing need on a Debian machine
//! * `check`: formatting, lints, tidiness, unit tests, documentation
//! * `tidy`: only the checks of the tree that no compiler makes
//! * `test`: all that CI runs, or the black-box tests whose name holds a word
//! * `critest`: the conformance tests of the Container Runtime Interface, or a part of them
//! * `guest`: black-box tests in a virtual machine, on cgroup v2, systemd and AppArmor
//! * `demo`, `bench`: what the daemon can do, and how fast
//!
//! Commands print what they run, and end with a status other than zero when anything failed.

mod apt;
mod bench;
mod check;
mod critest;
mod demo;
mod guest;
mod run;
mod setup;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Everything a developer or CI runs")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Installs what building and testing need
    Setup,
    /// Formatting, lints, tidiness, unit tests, documentation
    Check,
    /// The checks of the tree that no compiler makes
    Tidy,
    /// All that CI runs; with a word, only the black-box tests whose name holds it
    Test {
        /// A part of a test's name
        filter: Option<String>,
    },
    /// Conformance tests of the Container Runtime Interface
    Critest {
        /// Passed on: --help lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Black-box tests in a virtual machine with cgroup v2, systemd and AppArmor
    Guest {
        /// Parts of tests' names; all tests that are made for the guest, and some others, when there is none
        filters: Vec<String>,
    },
    /// Shows what the daemon can do
    Demo {
        /// Passed on: --fast leaves out the pauses
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measures the daemon
    Bench {
        /// Passed on to crio-bench
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup => setup::setup(),
        Command::Check => check::check(),
        Command::Tidy => tidy::tidy(),
        Command::Test { filter } => test::test(filter.as_deref()),
        Command::Critest { arguments } => critest::critest(&arguments),
        Command::Guest { filters } => guest::guest(&filters),
        Command::Demo { arguments } => demo::demo(&arguments),
        Command::Bench { arguments } => bench::bench(&arguments),
    }
}
