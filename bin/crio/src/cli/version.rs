//! `crio version` and `crio --version`.
//!
//! Tools read both: the first line is `crio version X`, and the JSON keys are CRI-O's, the Go ones included. `goVersion`
//! holds our compiler, since its readers only show it.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

/// Arguments of `crio version`.
#[derive(Debug, Default, Args)]
pub struct VersionArguments {
    /// Print JSON
    #[arg(short, long)]
    json: bool,
    /// Print what the program was built of, too
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: &'static str,
    git_commit: &'static str,
    git_commit_date: &'static str,
    git_tree_state: &'static str,
    build_date: &'static str,
    go_version: &'static str,
    compiler: &'static str,
    platform: String,
    linkmode: &'static str,
    build_tags: Vec<&'static str>,
    ld_flags: &'static str,
    seccomp_enabled: bool,
    #[serde(rename = "appArmorEnabled")]
    apparmor_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    dependencies: Option<Vec<String>>,
}

/// Prints version and build.
pub fn print(arguments: &VersionArguments) -> Result<ExitCode> {
    let version = current(arguments.verbose);
    let mut output = std::io::stdout().lock();
    if arguments.json {
        writeln!(output, "{}", serde_json::to_string_pretty(&version)?)?;
    } else {
        write!(output, "{}", text(&version))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn current(verbose: bool) -> Version {
    let compiler = env!("CRIO_COMPILER");
    Version {
        version: env!("CARGO_PKG_VERSION"),
        git_commit: env!("CRIO_GIT_COMMIT"),
        git_commit_date: env!("CRIO_GIT_COMMIT_DATE"),
        git_tree_state: env!("CRIO_GIT_TREE_STATE"),
        // The date of the commit: a program that knew when it was built could not be built twice.
        build_date: env!("CRIO_GIT_COMMIT_DATE"),
        go_version: compiler,
        compiler: "rustc",
        platform: format!("linux/{}", architecture()),
        linkmode: if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" },
        build_tags: Vec::new(),
        ld_flags: "",
        seccomp_enabled: Path::new("/proc/sys/kernel/seccomp/actions_avail").exists(),
        apparmor_enabled: std::fs::read("/sys/module/apparmor/parameters/enabled")
            .is_ok_and(|state| state.starts_with(b"Y")),
        dependencies: verbose.then(dependencies),
    }
}

/// The architecture in Go's words, which readers of `platform` compare with.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The packages of the lock file this program was built with, as `name version`.
fn dependencies() -> Vec<String> {
    let lock = include_str!("../../../../Cargo.lock");
    let value = |line: &str, key: &str| {
        let quoted = line.strip_prefix(key)?.strip_prefix(" = ")?;
        Some(quoted.trim_matches('"').to_owned())
    };
    let names = lock.lines().filter_map(|line| value(line, "name"));
    // The first `version` of the file is the format's own and has no quotes.
    let versions = lock.lines().filter(|line| line.ends_with('"')).filter_map(|line| value(line, "version"));
    names.zip(versions).map(|(name, version)| format!("{name} {version}")).collect()
}

fn text(version: &Version) -> String {
    let tags = version.build_tags.join(" ");
    let seccomp = version.seccomp_enabled.to_string();
    let apparmor = version.apparmor_enabled.to_string();
    let lines = [
        ("Version", version.version),
        ("GitCommit", version.git_commit),
        ("GitCommitDate", version.git_commit_date),
        ("GitTreeState", version.git_tree_state),
        ("BuildDate", version.build_date),
        ("GoVersion", version.go_version),
        ("Compiler", version.compiler),
        ("Platform", &version.platform),
        ("Linkmode", version.linkmode),
        ("BuildTags", &tags),
        ("LDFlags", version.ld_flags),
        ("SeccompEnabled", &seccomp),
        ("AppArmorEnabled", &apparmor),
    ];
    let mut text = format!("crio version {}\n", version.version);
    for (name, value) in lines {
        text.push_str(format!("{:<17}{value}", format!("{name}:")).trim_end());
        text.push('\n');
    }
    if let Some(dependencies) = &version.dependencies {
        text.push_str("Dependencies:\n");
        for dependency in dependencies {
            text.push_str(&format!("  {dependency}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_find_what_they_look_for() {
        let text = text(&current(true));
        let first = format!("crio version {}", env!("CARGO_PKG_VERSION"));
        assert_eq!(text.lines().next(), Some(first.as_str()));
        assert!(text.lines().any(|line| line.starts_with("Version:") && line.ends_with(env!("CARGO_PKG_VERSION"))));
        assert!(text.contains("\n  anyhow 1."), "{text}");
        let json = serde_json::to_value(current(false)).expect("plain data");
        for key in [
            "version",
            "gitCommit",
            "gitTreeState",
            "goVersion",
            "linkmode",
            "ldFlags",
            "seccompEnabled",
            "appArmorEnabled",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert!(json.get("dependencies").is_none());
    }
}
