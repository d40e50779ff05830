//! What `crio version` says about the build: the commit, its date, whether the tree was clean, and the compiler.
//!
//! Everything comes from git and the compiler, so that equal sources give equal programs; outside a repository it is unknown.

use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| output("git", arguments);
    let unknown = || "unknown".to_owned();
    let tree = match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => "clean".to_owned(),
        Some(_) => "dirty".to_owned(),
        None => unknown(),
    };
    let compiler = std::env::var("RUSTC").ok().and_then(|rustc| output(&rustc, &["--version"]));
    let facts = [
        ("CRIO_GIT_COMMIT", git(&["rev-parse", "HEAD"]).unwrap_or_else(unknown)),
        ("CRIO_GIT_COMMIT_DATE", git(&["log", "-1", "--format=%cI"]).unwrap_or_else(unknown)),
        ("CRIO_GIT_TREE_STATE", tree),
        ("CRIO_COMPILER", compiler.unwrap_or_else(unknown)),
        ("CRIO_TARGET", std::env::var("TARGET").unwrap_or_else(|_| unknown())),
    ];
    for (name, value) in facts {
        println!("cargo:rustc-env={name}={value}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../../.git/HEAD");
}

/// The trimmed standard output of a command that succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
