//! Manual pages, made from the option table and the command line. `crio md --directory docs/man` refreshes the committed ones.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Command, ValueEnum};

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Page {
    /// crio(8)
    Crio,
    /// crio.conf(5)
    #[value(name = "crio.conf")]
    CrioConf,
}

/// Arguments of `crio markdown`.
#[derive(Debug, Args)]
pub struct MarkdownArguments {
    /// Which page
    #[arg(value_enum, default_value = "crio")]
    page: Page,
    /// Write every page into this directory instead of printing one
    #[arg(long, value_name = "PATH")]
    directory: Option<PathBuf>,
}

/// Every page by its file name.
const PAGES: [(&str, Page); 2] = [("crio.8.md", Page::Crio), ("crio.conf.5.md", Page::CrioConf)];

/// Prints a page, or writes them all.
pub fn run(arguments: &MarkdownArguments) -> Result<ExitCode> {
    match &arguments.directory {
        None => write!(std::io::stdout(), "{}", text(arguments.page))?,
        Some(directory) => {
            for (name, page) in PAGES {
                let path = directory.join(name);
                std::fs::write(&path, text(page)).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn text(page: Page) -> String {
    match page {
        Page::Crio => program_page(),
        Page::CrioConf => crio_config::configuration_page(),
    }
}

const INTRODUCTION: &str = "\
% crio(8)

# NAME

crio - Kubernetes container runtime

# SYNOPSIS

**crio** [*flags*] [*command*]

# DESCRIPTION

Without a command, **crio** is the daemon: it serves the Kubernetes Container Runtime Interface on a unix socket, by default
`/var/run/crio/crio.sock`, and runs pods with OCI runtimes. It reads crio.conf(5); flags before a command set options of that
configuration and win over it, and so do the environment variables named with them.

The commands `image`, `pod` and `container` are clients of a running daemon: the one at `--socket`, or else at the environment
variable `CONTAINER_RUNTIME_ENDPOINT`. They change nothing behind its back.

Exit status: 0 when it worked, 1 when it did not, 2 when the command line is wrong. `crio container exec` ends with the status of
the command it ran.

# SIGNALS

**SIGHUP**
: The configuration is read again. It is checked as a whole, and when anything is wrong nothing changes.

**SIGTERM**, **SIGINT**
: The daemon finishes what it is doing and ends. Pods and containers live on, and the next daemon takes them over.

# COMMANDS
";

const CLOSING: &str = "
# FILES

`/etc/crio/crio.conf`, `/etc/crio/crio.conf.d`
: Configuration, see crio.conf(5).

`/etc/containers/registries.conf`, `/etc/containers/policy.json`, `/etc/containers/storage.conf`
: Registries, signatures and storage, shared with podman and skopeo.

`/etc/cni/net.d`
: Pod networks.

# SEE ALSO

crio.conf(5), containers-registries.conf(5), containers-policy.json(5), containers-storage.conf(5)
";

fn program_page() -> String {
    let command = super::command();
    let mut page = INTRODUCTION.to_owned();
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        describe(&mut page, "crio", subcommand);
    }
    page.push_str("\n# FLAGS\n\n");
    for name in ["config", "config-dir"] {
        if let Some(argument) = command.get_arguments().find(|argument| argument.get_id() == name) {
            let short = argument.get_short().map(|short| format!(", **-{short}**")).unwrap_or_default();
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            writeln!(page, "**--{name}**{short}\n: {help}.\n").expect(INFALLIBLE);
        }
    }
    page.push_str(crio_config::flag_definitions().trim_start());
    page.push_str(CLOSING);
    page
}

/// Why a write into a string cannot fail.
const INFALLIBLE: &str = "a string takes every write";

/// One command with its arguments, and the commands below it.
fn describe(page: &mut String, parent: &str, command: &Command) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let below: Vec<&Command> = command.get_subcommands().filter(|below| below.get_name() != "help").collect();
    if below.is_empty() {
        let mut usage = command.clone().disable_help_flag(true).bin_name(&name);
        let usage = usage.render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").trim();
        writeln!(page, "\n## {name}\n\n`{usage}`\n\n{about}.").expect(INFALLIBLE);
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            writeln!(page, "\n**{}**\n: {help}.", shown(argument)).expect(INFALLIBLE);
        }
    }
    for command in below {
        describe(page, &name, command);
    }
}

fn shown(argument: &clap::Arg) -> String {
    match (argument.get_long(), argument.get_short()) {
        (Some(long), Some(short)) => format!("--{long}**, **-{short}"),
        (Some(long), None) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => argument.get_id().as_str().to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_pages_are_current() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/man");
        for (name, page) in PAGES {
            let path = format!("{directory}/{name}");
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(committed == text(page), "{path} is out of date: crio md --directory docs/man");
        }
    }
}
