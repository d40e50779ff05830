//! What the guest is given: our programs, the compiled tests and the script that runs them, as one archive.

use std::fs;
use std::path::PathBuf;
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

/// What runs when nothing is asked for: a test program, the OCI runtimes, and the words of which one is in a test's name.
const USUAL: [(&str, &[&str], &[&str]); 2] = [
    ("guest", &["crun", "runc"], &[]),
    ("e2e", &["crun"], &["resources::", "stats::", "network::", "logs::", "exec::", "security::", "users::"]),
];

/// Builds the tests and packs everything. A disk's size is in whole sectors, and so is an archive's.
pub(super) fn pack(filters: &[String]) -> Result<()> {
    let directory = place("payload");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let mut programs = vec![root().join("target/debug/crio"), root().join("target/monitor/crio-conmon")];
    programs.push(setup::tools().join("crictl"));
    for program in &programs {
        strip(program, &directory.join(program.file_name().context("programs have names")?))?;
    }
    for (name, _, _) in USUAL {
        strip(&build(name)?, &directory.join(name))?;
    }
    fs::copy(root().join("packaging/systemd/crio.service"), directory.join("crio.service"))?;
    fs::write(directory.join("run"), script(filters))?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--file"]).arg(place(FILE)).arg("--directory").arg(&directory).arg(".");
    run(tar)
}

/// Symbols are most of a program, and reading them in costs a guest much.
fn strip(from: &PathBuf, to: &PathBuf) -> Result<()> {
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
    let lines = output(cargo(&[
        "test",
        "--quiet",
        "--package",
        "crio-tests",
        "--test",
        name,
        "--no-run",
        "--message-format=json",
    ]))?;
    let products = lines.lines().filter_map(|line| serde_json::from_str::<Product>(line).ok());
    products.filter_map(|product| product.executable).next_back().with_context(|| format!("cargo has built no {name}"))
}

/// The guest's script. Its last line is the verdict.
fn script(filters: &[String]) -> String {
    let mut script = HEAD.to_owned();
    for (program, runtimes, words) in USUAL {
        let words: Vec<&str> =
            if filters.is_empty() { words.to_vec() } else { filters.iter().map(String::as_str).collect() };
        for runtime in runtimes {
            script += &format!("run {runtime} {program} {}\n", words.join(" "));
        }
    }
    script + &format!("if $good; then echo '{GOOD_END}'; else echo '{BAD_END}'; fi\n")
}

const HEAD: &str = "\
cd /checks
export CRIO_BINARY=/checks/crio CRIO_CONMON=/checks/crio-conmon CRIO_TOOLS=/checks RUST_BACKTRACE=0
good=true
run() {
    runtime=$1 program=$2
    shift 2
    echo \"== $program with $runtime\"
    CRIO_TEST_RUNTIME=$runtime ./$program \"$@\" || good=false
}
";
