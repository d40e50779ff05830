//! Installs what building and testing need on a Debian 12 machine. What is there already is left alone.
//!
//! crictl and critest are built in the module's own directory of the Go module cache, so that the versions of everything they
//! are made of are those of their own `go.sum`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::run::{output, root, run};

const PACKAGES: [&str; 18] = [
    "build-essential",
    "busybox-static",
    "containernetworking-plugins",
    "crun",
    "curl",
    "dash",
    "docker-registry",
    "iproute2",
    "iptables",
    "jq",
    "nftables",
    "openssl",
    "perl",
    "podman",
    "runc",
    "skopeo",
    "strace",
    "umoci",
];
const CRI_TOOLS: &str = "sigs.k8s.io/cri-tools@v1.36.0";
/// Where Go's own installer puts it, besides `PATH`.
const GO: &str = "/usr/local/go/bin/go";

/// Where the tools built here lie.
pub(crate) fn tools() -> PathBuf {
    root().join("target/tools")
}

/// Installs packages and builds tools.
pub(crate) fn setup() -> Result<()> {
    packages()?;
    cri_tools()
}

/// Installs packages only.
pub(crate) fn packages() -> Result<()> {
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        command
    };
    run(apt(&["update", "--quiet"]))?;
    let mut install = apt(&["install", "--quiet", "--yes", "--no-install-recommends"]);
    install.args(missing);
    run(install)
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${db:Status-Status}", package]);
    output(query).is_ok_and(|status| status == "installed")
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Module {
    dir: PathBuf,
}

fn cri_tools() -> Result<()> {
    let tools = tools();
    let wanted = [("crictl", &["build"][..]), ("critest", &["test", "-c"][..])];
    let missing: Vec<_> = wanted.into_iter().filter(|(name, _)| !tools.join(name).is_file()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(&tools).with_context(|| format!("cannot make {}", tools.display()))?;
    let go = find_go()?;
    let mut download = go_command(&go, &root());
    download.args(["mod", "download", "-json", CRI_TOOLS]);
    let module: Module = serde_json::from_str(&output(download)?).context("go describes the module in another form")?;
    for (name, how) in missing {
        let mut build = go_command(&go, &module.dir);
        build.args(how).arg("-o").arg(tools.join(name)).arg(format!("./cmd/{name}"));
        run(build)?;
    }
    Ok(())
}

fn go_command(go: &Path, directory: &Path) -> Command {
    let mut command = Command::new(go);
    command.current_dir(directory).env("GOFLAGS", "-buildvcs=false").env("CGO_ENABLED", "0");
    command
}

fn find_go() -> Result<PathBuf> {
    for go in ["go", GO] {
        let mut version = Command::new(go);
        version.arg("version");
        if output(version).is_ok() {
            return Ok(PathBuf::from(go));
        }
    }
    bail!("crictl and critest are built with Go: install Go 1.21 or later (Debian 12's own package is too old)")
}
