//! The commented configuration that `crio config` prints.
//!
//! Options with their default are comments, others are settings, so the text loads into the configuration it was made of
//! (a test checks that). Tools read this output: `key = value` starts at column 0, and a row may ask to be a setting always.

use std::fmt::Write;

use toml::Value;

use crate::config::{Config, RUNTIMES, WORKLOADS};
use crate::section::{OptionSpec, Printed, RuntimeHandler, Section, Status, Workload, WorkloadResources};

/// A list longer than this in characters is written with one element a line.
const MAX_LIST_WIDTH: usize = 100;

/// Why a write into a string cannot fail.
const INFALLIBLE: &str = "a string takes every write";

const HEADER: &str = "\
# Configuration of the crio daemon; crio.conf(5) says more.
#
# Read in this order, later values winning: this file, the files below crio.conf.d in lexical order, environment
# variables, flags. An option that is commented out has its default. Tables of runtimes and workloads replace
# those of the same name in earlier files; storage_option adds to the list of earlier files.
# SIGHUP applies the options marked \"live\"; the others need a restart, which leaves containers running.
";

/// The configuration as a commented file.
#[must_use]
pub fn template(config: &Config) -> String {
    let defaults = Config::default();
    let mut text = HEADER.to_owned();
    for ((path, section), (_, default)) in config.sections().into_iter().zip(defaults.sections()) {
        if path.is_empty() {
            continue;
        }
        write_table(&mut text, path, section, default);
        if path == "crio.runtime" {
            write_handlers(&mut text, config);
        }
    }
    text
}

fn write_handlers(text: &mut String, config: &Config) {
    for (name, handler) in &config.runtimes {
        let path = format!("{RUNTIMES}.{}", key_text(name));
        write_table(text, &path, handler, &RuntimeHandler::default());
    }
    for (name, workload) in &config.workloads {
        let path = format!("{WORKLOADS}.{}", key_text(name));
        write_table(text, &path, workload, &Workload::default());
        let resources = format!("{path}.resources");
        write_table(text, &resources, &workload.resources, &WorkloadResources::default());
    }
}

fn write_table(text: &mut String, path: &str, section: &dyn Section, default: &dyn Section) {
    writeln!(text, "\n[{path}]").expect(INFALLIBLE);
    for spec in section.options() {
        let (value, default) = (section.get(spec.key), default.get(spec.key));
        if spec.hidden && value == default {
            continue;
        }
        write_option(text, spec, value, value_matters(spec, section, default.as_ref()));
    }
}

/// Whether the option is written as a setting.
fn value_matters(spec: &OptionSpec, section: &dyn Section, default: Option<&Value>) -> bool {
    spec.printed == Printed::Always || section.get(spec.key).as_ref() != default
}

fn write_option(text: &mut String, spec: &OptionSpec, value: Option<Value>, set: bool) {
    text.push('\n');
    for line in spec.docs {
        writeln!(text, "#{line}").expect(INFALLIBLE);
    }
    for note in notes(spec) {
        writeln!(text, "# {note}").expect(INFALLIBLE);
    }
    let value = value.map_or_else(String::new, |value| format!(" {}", value_text(&value)));
    let assignment = format!("{} ={value}", spec.key);
    for line in assignment.lines() {
        let mark = if set { "" } else { "# " };
        writeln!(text, "{mark}{line}").expect(INFALLIBLE);
    }
}

/// What there is to say besides the documentation, one sentence each.
pub(crate) fn notes(spec: &OptionSpec) -> Vec<String> {
    let mut notes = Vec::new();
    if !spec.deprecated.is_empty() {
        notes.push(format!("Deprecated: {}.", spec.deprecated));
    } else if spec.status == Status::Accepted {
        notes.push("Accepted; it has no effect in this version.".to_owned());
    }
    if spec.reload == crate::Reload::Live {
        notes.push("Live.".to_owned());
    }
    notes
}

/// A value as TOML, long lists over several lines.
pub(crate) fn value_text(value: &Value) -> String {
    let line = value.to_string();
    match value {
        Value::Array(elements) if line.len() > MAX_LIST_WIDTH => {
            let elements: String = elements.iter().map(|element| format!("\t{element},\n")).collect();
            format!("[\n{elements}]")
        }
        _ => line,
    }
}

/// A key, quoted when it has to be.
fn key_text(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { name.to_owned() } else { Value::String(name.to_owned()).to_string() }
}

#[cfg(test)]
mod tests;
