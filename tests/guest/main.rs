//! What needs cgroup v2, systemd or AppArmor, and so runs in a guest: `cargo xtask guest`.
//!
//! The tests change the machine they run on (units, AppArmor profiles), which therefore has to be one that is thrown away.

mod apparmor;
mod oom;
mod scopes;
mod unit;
mod usage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use crio_testkit::{CgroupManager, Options};
use crio_tests::Stage;

const CGROUPS: &str = "/sys/fs/cgroup";

/// A stage whose daemon makes control groups that way.
async fn stage(manager: CgroupManager) -> Result<Stage> {
    ensure!(Path::new(CGROUPS).join("cgroup.controllers").exists(), "these tests are for a machine with cgroup v2");
    Stage::set_with(Options { cgroup_manager: Some(manager), ..Options::default() }).await
}

/// A group's directory.
fn directory(group: &str) -> PathBuf {
    Path::new(CGROUPS).join(group.trim_start_matches('/'))
}

/// A file of a group.
fn read(group: &str, file: &str) -> Result<String> {
    let file = directory(group).join(file);
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.trim().to_owned())
}

/// The group of a process.
fn group_of(process: i32) -> Result<String> {
    let groups = fs::read_to_string(format!("/proc/{process}/cgroup"))?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"));
    Ok(group.with_context(|| format!("no group of the v2 hierarchy: {groups}"))?.to_owned())
}

/// What a program prints; it must succeed.
fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("cannot run {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(
        output.status.success(),
        "{program} {arguments:?}: {} {text} {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

/// A property of a unit, as systemd sees it.
fn property(unit: &str, name: &str) -> Result<String> {
    output("systemctl", &["show", unit, "--property", name, "--value"])
}

/// Groups and units that are named as ours are and hold one of these ids.
fn remains(ids: &[&str]) -> Result<Vec<String>> {
    let is_ours = |name: &str| ids.iter().any(|id| name.contains(id));
    let units = output("systemctl", &["list-units", "--all", "--plain", "--no-legend", "crio-*"])?;
    let mut found: Vec<String> = units.lines().filter(|line| is_ours(line)).map(str::to_owned).collect();
    let mut pending = vec![PathBuf::from(CGROUPS)];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if is_ours(&entry.file_name().to_string_lossy()) {
                found.push(entry.path().display().to_string());
            }
            pending.push(entry.path());
        }
    }
    Ok(found)
}
