//! The command line: what was asked for, and who does it.
//!
//! Flags before a command set options of the configuration, as in CRI-O, and come from the option table. Exit codes: 0 when it
//! worked, 1 when it did not, 2 when the command line is wrong; `crio container exec` ends with the code of what it ran.

mod client;
mod container;
mod image;
mod manual;
mod output;
mod pod;
mod stream;
mod version;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, Subcommand};
use clap_complete::Shell;
use crio_config::{Config, Sources, Warning};

use crate::daemon;

/// What `crio` can be asked for besides being the daemon.
#[derive(Debug, Subcommand)]
enum Action {
    /// Print the configuration in force as a commented file
    Config {
        /// Print the built-in defaults instead
        #[arg(long)]
        default: bool,
    },
    /// Print version and build
    Version(version::VersionArguments),
    /// Pull, list, inspect and remove images
    #[command(subcommand)]
    Image(image::ImageAction),
    /// Run, list, inspect, stop and remove pods
    #[command(subcommand)]
    Pod(pod::PodAction),
    /// List, inspect and watch containers, and run commands in them
    #[command(subcommand)]
    Container(container::ContainerAction),
    /// Print completions for a shell
    #[command(visible_alias = "completion")]
    Complete {
        /// Which shell
        #[arg(default_value = "bash")]
        shell: Shell,
    },
    /// Print a manual page in Markdown
    #[command(name = "markdown", visible_alias = "md", hide = true)]
    Markdown(manual::MarkdownArguments),
}

/// The whole command line.
fn command() -> Command {
    // An empty path is a value too: it turns the drop-in directory off. The variables are the loader's business.
    let path = |name, short, help| {
        let parser = OsStringValueParser::new().map(PathBuf::from);
        Arg::new(name).long(name).short(short).value_name("PATH").value_parser(parser).help(help)
    };
    let command = Command::new("crio")
        .about("A Kubernetes container runtime: the daemon behind the Container Runtime Interface")
        .long_about(
            "A Kubernetes container runtime: the daemon behind the Container Runtime Interface.\n\n\
             Without a command, crio is the daemon.",
        )
        .disable_version_flag(true)
        .max_term_width(120)
        .arg(Arg::new("version").long("version").short('v').action(ArgAction::SetTrue).help("Print version and build"))
        .arg(path("config", 'c', "Configuration file [default: /etc/crio/crio.conf] [env: CONTAINER_CONFIG]"))
        .arg(path(
            "config-dir",
            'd',
            "Directory of drop-in files, empty for none [default: /etc/crio/crio.conf.d] [env: CONTAINER_CONFIG_DIR]",
        ))
        .args(crio_config::flags());
    Action::augment_subcommands(command)
}

/// Does what the command line of this process asks for.
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    match run(&matches) {
        Ok(code) => code,
        Err(failure) if is_broken_pipe(&failure) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell when standard error is gone too.
            writeln!(std::io::stderr(), "crio: {failure:#}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Whether the reader of our output went away, as `head` does.
fn is_broken_pipe(failure: &anyhow::Error) -> bool {
    failure.downcast_ref::<std::io::Error>().is_some_and(|failure| failure.kind() == std::io::ErrorKind::BrokenPipe)
}

fn run(matches: &ArgMatches) -> Result<ExitCode> {
    if matches.get_flag("version") {
        return version::print(&version::VersionArguments::default());
    }
    if matches.subcommand_name().is_none() {
        let sources = sources(matches);
        let (config, warnings) = crio_config::load(&sources)?;
        daemon::run(&sources, config, &warnings)?;
        return Ok(ExitCode::SUCCESS);
    }
    match Action::from_arg_matches(matches)? {
        Action::Config { default } => print_config(matches, default),
        Action::Version(arguments) => version::print(&arguments),
        Action::Image(action) => client::block_on(image::run(action)),
        Action::Pod(action) => client::block_on(pod::run(action)),
        Action::Container(action) => client::block_on(container::run(action)),
        Action::Complete { shell } => {
            clap_complete::generate(shell, &mut command(), "crio", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Action::Markdown(arguments) => manual::run(&arguments),
    }
}

/// Where the configuration comes from.
fn sources(matches: &ArgMatches) -> Sources {
    Sources {
        config: matches.get_one("config").cloned(),
        config_dir: matches.get_one("config-dir").cloned(),
        flags: crio_config::given_flags(matches),
        ..Sources::from_process()
    }
}

fn print_config(matches: &ArgMatches, default: bool) -> Result<ExitCode> {
    let (config, warnings) =
        if default { (Config::default(), Vec::new()) } else { crio_config::load(&sources(matches))? };
    for warning in &warnings {
        report(warning)?;
    }
    write!(std::io::stdout(), "{}", crio_config::template(&config))?;
    Ok(ExitCode::SUCCESS)
}

fn report(warning: &Warning) -> Result<()> {
    writeln!(std::io::stderr(), "crio: warning: {warning}").context("cannot write to standard error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn wrong_lines_are_refused() {
        for line in ["crio nonsense", "crio --no-such-flag", "crio image", "crio pod run", "crio --log-level"] {
            let failure = command().try_get_matches_from(line.split(' ')).expect_err(line);
            assert_eq!(failure.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn flags_come_before_commands() {
        let line = ["crio", "-c", "/c", "-d", "", "--log-level=debug", "config", "--default"];
        let matches = command().try_get_matches_from(line).expect("a valid line");
        let sources = sources(&matches);
        assert_eq!(sources.config, Some(PathBuf::from("/c")));
        assert_eq!(sources.config_dir, Some(PathBuf::new()));
        assert_eq!(sources.flags["log-level"], ["debug"]);
    }
}
