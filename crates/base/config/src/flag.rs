//! The flags of the command line, made from the option table.
//!
//! Values stay text here: the loader reads them like every other source, so that a wrong one is reported together with
//! what else is wrong.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, ArgMatches, builder::NonEmptyStringValueParser};

use crate::codec::Shape;
use crate::config::Config;
use crate::section::{OptionSpec, Status};

/// Every flag that sets an option, for a clap command. Neither `--config` nor `--config-dir` is among them.
#[must_use]
pub fn flags() -> Vec<Arg> {
    rows().iter().map(|(spec, default)| argument(spec, default)).collect()
}

/// The flags of `matches` that were given, by long name, as [`Sources::flags`](crate::Sources::flags) wants them.
#[must_use]
pub fn given_flags(matches: &ArgMatches) -> BTreeMap<String, Vec<String>> {
    rows()
        .iter()
        .filter_map(|(spec, _)| {
            let values = matches.get_many::<String>(spec.flag)?;
            Some((spec.flag.to_owned(), values.cloned().collect()))
        })
        .collect()
}

/// Every row that has a flag, with its default as text, in the order of the flags.
pub(crate) fn rows() -> Vec<(&'static OptionSpec, String)> {
    let config = Config::default();
    let mut rows: Vec<_> = config
        .sections()
        .into_iter()
        .flat_map(|(_, section)| section.options().iter().map(move |spec| (spec, section.get(spec.key))))
        .filter(|(spec, _)| !spec.flag.is_empty())
        .map(|(spec, default)| (spec, default.map(|value| value.to_string()).unwrap_or_default()))
        .collect();
    rows.sort_by_key(|(spec, _)| spec.flag);
    rows
}

fn argument(spec: &OptionSpec, default: &str) -> Arg {
    let mut argument = Arg::new(spec.flag)
        .long(spec.flag)
        .hide(spec.hidden)
        .help(help(spec, default))
        .help_heading("Configuration")
        .action(ArgAction::Append)
        .value_name(match spec.shape {
            Shape::Switch => "true|false",
            Shape::Integer => "NUMBER",
            Shape::Text | Shape::Map => "TEXT",
            Shape::List => "LIST",
        });
    if let Some(short) = spec.short {
        argument = argument.short(short);
    }
    if !spec.flag_alias.is_empty() {
        argument = argument.visible_alias(spec.flag_alias);
    }
    match spec.shape {
        Shape::Switch => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(NonEmptyStringValueParser::new()),
        _ => argument.allow_hyphen_values(true),
    }
}

/// The documentation as one line, with default and variables.
fn help(spec: &OptionSpec, default: &str) -> String {
    let mut help = spec.docs.concat().trim().to_owned();
    if !spec.deprecated.is_empty() {
        help.push_str(&format!(" Deprecated: {}.", spec.deprecated));
    } else if spec.status == Status::Accepted {
        help.push_str(" It has no effect in this version.");
    }
    if !matches!(default, "" | "\"\"" | "[]") {
        help.push_str(&format!(" [default: {default}]"));
    }
    if !spec.env.is_empty() {
        help.push_str(&format!(" [env: {}]", spec.env.join(", ")));
    }
    help
}
