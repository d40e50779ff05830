//! CRIU, for the tests of checkpoints. Debian 12's own is too old for current kernels, and what runs on them is built against
//! newer libraries than Debian 12 has. So Debian 13's is unpacked, with all it needs, into a directory of its own, where a
//! script of its name starts it with its own loader. Nothing of the system is changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::apt::source;
use crate::run::{output, run};

const RELEASE: &str = "trixie";
/// Where Debian keeps libraries for this machine.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "ld-linux-x86-64.so.2";

/// The directory with the program `criu`, for a `PATH`.
pub(crate) fn directory(tools: &Path) -> PathBuf {
    tools.join("criu")
}

/// Makes it, unless it is there and works.
pub(super) fn install(tools: &Path) -> Result<()> {
    let directory = directory(tools);
    let program = directory.join("criu");
    if works(&program) {
        return Ok(());
    }
    let unpacked = directory.join("root");
    for stale in [&unpacked, &directory.join("apt")] {
        if stale.exists() {
            fs::remove_dir_all(stale).with_context(|| format!("cannot remove {}", stale.display()))?;
        }
    }
    fs::create_dir_all(&unpacked)?;
    let packages = download(&directory.join("apt"))?;
    for package in packages {
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("--extract").arg(package).arg(&unpacked);
        run(unpack)?;
    }
    let libraries = unpacked.join(LIBRARIES);
    let script = format!(
        "#!/bin/sh\nexec '{loader}' --library-path '{libraries}' '{criu}' \"$@\"\n",
        loader = libraries.join(LOADER).display(),
        libraries = libraries.display(),
        criu = unpacked.join("usr/sbin/criu").display(),
    );
    fs::write(&program, script)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    fs::remove_dir_all(directory.join("apt"))?;
    ensure!(works(&program), "{} does not work on this kernel: run it with `check`", program.display());
    Ok(())
}

fn works(program: &Path) -> bool {
    let mut check = Command::new(program);
    check.arg("check");
    output(check).is_ok()
}

/// Downloads CRIU and everything it needs, as if nothing were installed.
fn download(apt: &Path) -> Result<Vec<PathBuf>> {
    for name in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt.join(name))?;
    }
    fs::write(apt.join("status"), "")?;
    fs::write(apt.join("sources.list"), format!("{}\n", source(RELEASE)?))?;
    let command = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["--quiet", "--option", "Debug::NoLocking=1", "--option", "Dir::Etc::sourceparts=/dev/null"]);
        for (option, name) in [
            ("Dir::Etc::sourcelist", "sources.list"),
            ("Dir::State::lists", "lists"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
        ] {
            command.arg("--option").arg(format!("{option}={}", apt.join(name).display()));
        }
        command.args(arguments);
        command
    };
    run(command(&["update"]))?;
    run(command(&["install", "--yes", "--download-only", "--no-install-recommends", "criu"]))?;
    let entries = fs::read_dir(apt.join("cache/archives"))?;
    let packages: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    Ok(packages.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect())
}
