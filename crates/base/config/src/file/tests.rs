//! Which settings, warnings and problems a text gives.

use super::*;

fn check(text: &str, settings: &[(&str, usize)], warnings: &[&str], problems: &[&str]) {
    let document = parse_file(Path::new("f"), text);
    let found: Vec<(String, usize)> = document
        .entries
        .iter()
        .map(|entry| (entry.table.qualified(entry.option.unwrap_or("(table)")), entry.line))
        .collect();
    let expected: Vec<(String, usize)> = settings.iter().map(|(name, line)| ((*name).to_owned(), *line)).collect();
    assert_eq!(found, expected, "{text}");
    let shown: Vec<String> = document.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(shown, warnings, "{text}");
    let shown: Vec<String> = document.problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown, problems, "{text}");
}

#[test]
fn settings_come_with_their_lines() {
    check("", &[], &[], &[]);
    check(
        "[crio]\nroot = \"/a\"\n\n[crio.runtime]\nlog_level = \"info\"\ndefault_env = [\n \"A=b\",\n]\n",
        &[("crio.root", 2), ("crio.runtime.log_level", 5), ("crio.runtime.default_env", 6)],
        &[],
        &[],
    );
    check(
        "[crio.runtime.runtimes.crun]\nruntime_root = \"\"\n[crio.runtime.workloads.w.resources]\ncpushares = 1\n",
        &[
            ("crio.runtime.runtimes.crun.(table)", 1),
            ("crio.runtime.runtimes.crun.runtime_root", 2),
            ("crio.runtime.workloads.w.(table)", 3),
            ("crio.runtime.workloads.w.resources.cpushares", 4),
        ],
        &[],
        &[],
    );
    check("crio.api.listen = '/x'\n", &[("crio.api.listen", 1)], &[], &[]);
}

#[test]
fn keys_that_do_not_exist_are_odd_and_not_wrong() {
    check(
        "top = 1\n[crio]\nroott = \"/a\"\n[crio.runtime]\nmanage_ns_lifecycle = true\n[crio.other]\nx = 1\n",
        &[],
        &[
            "f:1: top is not an option and is ignored",
            "f:3: crio.roott is not an option and is ignored",
            "f:5: crio.runtime.manage_ns_lifecycle is not an option and is ignored",
            "f:6: crio.other is not an option and is ignored",
        ],
        &[],
    );
}

#[test]
fn an_option_documented_in_another_table_moves() {
    check("[crio.image]\nseparate_pull_cgroup = \"pod\"\n", &[("crio.runtime.separate_pull_cgroup", 2)], &[], &[]);
}

#[test]
fn wrong_texts_are_refused_with_their_line() {
    check("[crio]\nroot = \n", &[], &[], &["f:2: string values must be quoted, expected literal string"]);
    check("crio = 3\n", &[], &[], &["f:1: crio = 3: expected a table"]);
    check(
        "[crio.runtime]\nctr_stop_timeout = 99999999999999999999\n",
        &[],
        &[],
        &["f:2: crio.runtime.ctr_stop_timeout = a number out of range: expected a number of seconds, 0 or more"],
    );
}
