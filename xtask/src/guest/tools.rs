//! The programs that make and run the guest: QEMU 10 and mmdebstrap, unpacked and not installed.
//!
//! Debian 12's own QEMU 7.2 mistranslates `cmpxchg16b`, at which guests crash, so it is the one of bookworm-backports. apt gets a
//! list of sources of its own, and is asked for what the machine lacks of their libraries, too.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::place;
use crate::apt::source;
use crate::run::run;

const RELEASES: [&str; 2] = ["bookworm", "bookworm-backports"];
const PACKAGES: [&str; 5] = [
    "mmdebstrap",
    "qemu-system-common/bookworm-backports",
    "qemu-system-data/bookworm-backports",
    "qemu-system-x86/bookworm-backports",
    "seabios/bookworm-backports",
];
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Fetches and unpacks the programs, once.
pub(super) fn unpack() -> Result<()> {
    let tools = place("tools");
    if tools.is_dir() {
        return Ok(());
    }
    let apt = place("apt");
    for directory in ["lists/partial", "cache/archives/partial"] {
        let directory = apt.join(directory);
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let sources = RELEASES.into_iter().map(source).collect::<Result<Vec<_>>>()?;
    fs::write(apt.join("sources.list"), sources.join("\n") + "\n")?;
    run(apt_get(&apt, &["update"]))?;
    let mut download = apt_get(&apt, &["install", "--yes", "--download-only", "--no-install-recommends"]);
    download.args(PACKAGES);
    run(download)?;
    let unfinished = place("tools.part");
    let mut packages = 0;
    for entry in fs::read_dir(apt.join("cache/archives"))? {
        let package = entry?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            let mut unpack = Command::new("dpkg");
            unpack.arg("--extract").arg(&package).arg(&unfinished);
            run(unpack)?;
            packages += 1;
        }
    }
    ensure!(packages >= PACKAGES.len(), "apt has fetched only {packages} packages");
    fs::rename(&unfinished, &tools).context("cannot put the guest's tools in their place")?;
    fs::remove_dir_all(&apt).context("cannot remove what apt has fetched")
}

/// apt with nothing of the machine's but its list of installed packages, which it only reads.
fn apt_get(directory: &Path, arguments: &[&str]) -> Command {
    let at = |option: &str, name: &str| format!("{option}={}", directory.join(name).display());
    let options = [
        at("Dir::Etc::SourceList", "sources.list"),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        "Dir::Etc::Preferences=/dev/null".to_owned(),
        "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
        at("Dir::State::Lists", "lists"),
        at("Dir::Cache", "cache"),
        "APT::Sandbox::User=root".to_owned(),
        "Debug::NoLocking=1".to_owned(),
    ];
    let mut command = Command::new("apt-get");
    command.arg("--quiet");
    for option in options {
        command.args(["-o", &option]);
    }
    command.args(arguments);
    command
}

/// One of the unpacked programs, which finds the others and its libraries.
pub(super) fn program(name: &str) -> String {
    place("tools/usr/bin").join(name).display().to_string()
}

/// The variables the unpacked programs need.
pub(super) fn environment() -> [(&'static str, String); 2] {
    let path = std::env::var("PATH").unwrap_or_default();
    let libraries = [LIBRARIES, "lib/x86_64-linux-gnu"].map(|directory| place("tools").join(directory));
    let libraries = libraries.map(|directory| directory.display().to_string()).join(":");
    [("PATH", format!("{}:{path}", place("tools/usr/bin").display())), ("LD_LIBRARY_PATH", libraries)]
}
