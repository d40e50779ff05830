//! Processes that belong to a node, from `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::Scope;

/// A process that belongs to a node.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) is_zombie: bool,
    line: String,
}

pub(super) fn lines(scope: &Scope) -> BTreeSet<String> {
    let found = processes(&scope.directory, &scope.cgroup_parent);
    found.into_iter().map(|process| process.line).collect()
}

/// Processes in the node's control groups, or with its directory in their command line. Zombies have neither, but keep their
/// group until they are reaped.
pub(crate) fn processes(directory: &Path, cgroup_parent: &str) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| describe(pid, &directory.to_string_lossy(), cgroup_parent)).collect()
}

fn describe(pid: u32, directory: &str, cgroup_parent: &str) -> Option<Process> {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
    let command = read("cmdline")?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let groups = String::from_utf8_lossy(&read("cgroup")?).into_owned();
    let below = format!(":{cgroup_parent}/");
    let in_group = groups.lines().any(|line| line.contains(&below) || line.ends_with(&below[..below.len() - 1]));
    if !in_group && !command.contains(directory) {
        return None;
    }
    let status = String::from_utf8_lossy(&read("status")?).into_owned();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    let state = field("State:");
    Some(Process {
        pid,
        is_zombie: state.starts_with('Z'),
        line: format!("{pid} {} [{state}] {}", field("Name:"), command.trim()),
    })
}
