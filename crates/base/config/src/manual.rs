//! Manual pages in Markdown, made from the option table.
//!
//! The pages are committed and a test of bin/crio keeps them current; `crio md` prints them.

use toml::Value;

use crate::config::{Config, RUNTIMES, TABLES, WORKLOADS};
use crate::flag;
use crate::section::{OptionSpec, RuntimeHandler, Section, Workload, WorkloadResources};
use crate::template::{notes, value_text};

const INTRODUCTION: &str = "\
% crio.conf(5)

# NAME

crio.conf - configuration of the crio daemon

# DESCRIPTION

The daemon reads `/etc/crio/crio.conf`, then every file below `/etc/crio/crio.conf.d`, whatever it is called, in lexical
order. The syntax is TOML. Values of later files win over those of earlier ones, environment variables over files, and flags
over all of them; see crio(8). The places and the driver of container storage come from containers-storage.conf(5) unless they are
set here.

A table `[crio.runtime.runtimes.NAME]` or `[crio.runtime.workloads.NAME]` replaces the table of the same name in earlier files.
`storage_option` adds to the list of earlier files. Everything else replaces the value of earlier files.

An unknown key is ignored with a warning. A value that its option does not take keeps the daemon from starting; all such values
are reported at once, with file and line. `crio config` prints the configuration in force.

Options marked **live** take effect on SIGHUP. The new configuration is checked as a whole first, and when anything in it is wrong
the old one stays. Other options need a restart, which leaves containers running.

# TABLES
";

/// The page crio.conf(5).
#[must_use]
pub fn configuration_page() -> String {
    let config = Config::default();
    let mut page = INTRODUCTION.to_owned();
    for (path, options) in TABLES {
        let sections = config.sections();
        let section = sections.iter().find(|(known, _)| *known == path).map(|(_, section)| *section);
        page.push_str(&table(path, options, |key| section?.get(key)));
        if path == "crio.runtime" {
            let handler = RuntimeHandler::default();
            let workload = Workload::default();
            let resources = WorkloadResources::default();
            page.push_str(&table(&format!("{RUNTIMES}.NAME"), RuntimeHandler::OPTIONS, |key| handler.get(key)));
            page.push_str(&table(&format!("{WORKLOADS}.NAME"), Workload::OPTIONS, |key| workload.get(key)));
            let path = format!("{WORKLOADS}.NAME.resources");
            page.push_str(&table(&path, WorkloadResources::OPTIONS, |key| resources.get(key)));
        }
    }
    page.push_str("\n# SEE ALSO\n\ncrio(8), containers-storage.conf(5), containers-registries.conf(5), containers-policy.json(5)\n");
    page
}

fn table(path: &str, options: &[OptionSpec], default: impl Fn(&str) -> Option<Value>) -> String {
    let rows = options.iter().filter(|spec| !spec.hidden).map(|spec| {
        let default = default(spec.key).map_or_else(String::new, |value| format!(" = {}", value_text(&value)));
        let default = default.replace("\n\t", " ").replace('\n', " ").replace(", ]", "]");
        format!(
            "\n**{}**{}\n: {}\n",
            spec.key,
            if default.is_empty() { default } else { format!(" `{}`", default.trim()) },
            description(spec)
        )
    });
    format!("\n## [{path}]\n{}", rows.collect::<String>())
}

fn description(spec: &OptionSpec) -> String {
    let mut parts = vec![spec.docs.concat().trim().to_owned()];
    parts.push(format!("Takes {}.", (spec.expected)()));
    parts.extend(notes(spec).into_iter().map(|note| note.replace("Live.", "**Live.**")));
    if !spec.flag.is_empty() {
        parts.push(format!("Flag `--{}`.", spec.flag));
    }
    if !spec.env.is_empty() {
        parts.push(format!("Variable `{}`.", spec.env.join("`, `")));
    }
    parts.join(" ")
}

/// The flags that set options, as definitions for crio(8).
#[must_use]
pub fn flag_definitions() -> String {
    let definition = |(spec, default): (&OptionSpec, String)| {
        let short = spec.short.map(|short| format!(", **-{short}**")).unwrap_or_default();
        let alias = match spec.flag_alias {
            "" => String::new(),
            alias => format!(", **--{alias}**"),
        };
        let default = match default.as_str() {
            "" | "\"\"" | "[]" => String::new(),
            default => format!(" Default `{default}`."),
        };
        format!("\n**--{}**{alias}{short}\n: {}{default}\n", spec.flag, description(spec))
    };
    flag::rows().into_iter().filter(|(spec, _)| !spec.hidden).map(definition).collect()
}
