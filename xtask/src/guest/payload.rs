//! What the guest is given: our programs, the compiled tests and the script that runs them, as one archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::place;
use crate::run::{cargo, output, root, run};
use crate::setup;

/// The archive.
pub(super) const FILE: &str = "payload.tar";
/// The last line of a guest in which everything passed.
pub(super) const GOOD_END: &str = "guest: all passed";
const BAD_END: &str = "guest: something failed";
/// Test programs of `tests/`.
const TESTS: [&str; 2] = ["guest", "e2e"];
/// The conformance tests, as `cargo xtask critest` runs them.
const CRITEST: &str = "crio-critest";

/// One run of a program in the guest.
struct Round {
    program: &'static str,
    /// The OCI runtime.
    runtime: &'static str,
    /// Who makes control groups.
    manager: &'static str,
    /// Words of which one is in the name of a test that runs; all run when there is none.
    words: &'static [&'static str],
}

/// What runs when nothing is asked for: all that is made for the guest, and of the rest a few tests of each kind, under systemd.
/// Everything takes ten times as long as on the machine itself.
const ROUNDS: [Round; 5] = [
    Round { program: "guest", runtime: "crun", manager: "systemd", words: &[] },
    Round { program: "guest", runtime: "runc", manager: "systemd", words: &[] },
    Round { program: CRITEST, runtime: "crun", manager: "cgroupfs", words: &["AppArmor", "OOMKilled"] },
    Round { program: "e2e", runtime: "crun", manager: "systemd", words: &E2E },
    Round { program: "e2e", runtime: "runc", manager: "systemd", words: &["resources::"] },
];
const E2E: [&str; 11] = [
    "daemon::cadvisor",
    "exec::output",
    "lifecycle::",
    "logs::every",
    "metrics::every",
    "namespaces::processes",
    "network::",
    "resources::",
    "stats::",
    "stop::a_container",
    "user_namespaces::ids",
];

/// Builds the tests and packs everything.
pub(super) fn pack(filters: &[String]) -> Result<()> {
    let directory = place("payload");
    if directory.exists() {
        fs::remove_dir_all(&directory).context("cannot remove the old payload")?;
    }
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let target = |name: &str| root().join("target").join(name);
    run(cargo(&["build", "--quiet", "--package", "crio-testkit", "--bin", CRITEST]))?;
    let mut programs = vec![target("debug/crio"), target("monitor/crio-conmon"), target("debug").join(CRITEST)];
    let tools = ["crictl", "critest"].map(|name| setup::tools().join(name));
    programs.extend(tools.into_iter().filter(|tool| tool.is_file()));
    for program in &programs {
        strip(program, &directory.join(program.file_name().context("programs have names")?))?;
    }
    for name in TESTS {
        strip(&build(name)?, &directory.join(name))?;
    }
    fs::write(directory.join("run"), script(filters, directory.join("critest").is_file()))?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--file"]).arg(place(FILE)).arg("--directory").arg(&directory).arg(".");
    run(tar)
}

/// Symbols are most of a program, and reading them in costs a guest much.
fn strip(from: &Path, to: &Path) -> Result<()> {
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(to).arg(from);
    run(strip)
}

/// A line of cargo's that tells of a finished product.
#[derive(Debug, Deserialize)]
struct Product {
    executable: Option<PathBuf>,
}

/// Compiles a test program, and asks cargo where it is.
fn build(name: &str) -> Result<PathBuf> {
    let arguments = ["test", "--quiet", "--package", "crio-tests", "--test", name, "--no-run", "--message-format=json"];
    let lines = output(cargo(&arguments))?;
    let products = lines.lines().filter_map(|line| serde_json::from_str::<Product>(line).ok());
    products.filter_map(|product| product.executable).next_back().with_context(|| format!("cargo has built no {name}"))
}

/// The guest's script. Its last line is the verdict. Words given by hand are for tests, not for critest.
fn script(filters: &[String], has_critest: bool) -> String {
    let mut script = HEAD.to_owned();
    for round in &ROUNDS {
        let Round { program, runtime, manager, words } = round;
        let is_critest = *program == CRITEST;
        if is_critest && !(has_critest && filters.is_empty()) {
            continue;
        }
        let words: Vec<&str> =
            if filters.is_empty() { words.to_vec() } else { filters.iter().map(String::as_str).collect() };
        let option = if is_critest { "--focus " } else { "" };
        let words: String = words.iter().map(|word| format!(" {option}'{word}'")).collect();
        script += &format!("run {runtime} {manager} {program}{words}\n");
    }
    script + &format!("if $good; then echo '{GOOD_END}'; else echo '{BAD_END}'; fi\n")
}

/// critest's images are made of a package that is in the disk, since the guest has no network.
const HEAD: &str = "\
cd /checks
ln -s /usr/share/guest packages
export CRIO_BINARY=/checks/crio CRIO_CONMON=/checks/crio-conmon CRIO_TOOLS=/checks RUST_BACKTRACE=0
good=true
run() {
    export CRIO_TEST_RUNTIME=$1 CRIO_TEST_CGROUP_MANAGER=$2
    program=$3
    shift 3
    echo \"== $program with $CRIO_TEST_RUNTIME and $CRIO_TEST_CGROUP_MANAGER\"
    ./$program \"$@\" || good=false
}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_runs_what_is_asked_for() {
        let usual = script(&[], true);
        assert!(usual.contains("\nrun crun systemd guest\n"), "{usual}");
        assert!(usual.contains("\nrun crun cgroupfs crio-critest --focus 'AppArmor'"), "{usual}");
        assert!(usual.ends_with("fi\n") && usual.contains(GOOD_END), "{usual}");
        assert!(!script(&[], false).contains("crio-critest"), "there is none without Go");
        let asked = script(&["oom::".to_owned()], true);
        assert!(asked.contains("\nrun runc systemd guest 'oom::'\n"), "{asked}");
        assert!(!asked.contains("crio-critest"), "{asked}");
    }
}
