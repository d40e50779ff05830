//! Installs what building and testing need on a Debian 12 machine. What is there already is left alone.
//!
//! crictl, critest and the ginkgo that runs critest in parallel are built in a copy of their module, so that the versions of
//! everything they are made of are those of its own `go.sum`. In the copy one constant of critest, the digest of an image that a
//! machine without that registry cannot have, becomes an environment variable.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::run::{output, root, run};

pub(crate) mod criu;

const PACKAGES: [&str; 20] = [
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
    "mawk",
    "nftables",
    "openssl",
    "perl",
    "podman",
    "procps",
    "runc",
    "skopeo",
    "strace",
    "umoci",
];
const CRI_TOOLS: &str = "sigs.k8s.io/cri-tools";
const CRI_TOOLS_VERSION: &str = "v1.36.0";
/// The constant with a digest, and the variable that takes its place.
const PINNED_IMAGE: &str = "testLinuxImageWithDigest";
const IMAGE_BY_DIGEST: &str = "package validate\n\nimport \"os\"\n\n\
    var testLinuxImageWithDigest = registry + \"test-image-digest@\" + os.Getenv(\"CRITEST_IMAGE_DIGEST\")\n";
/// Where Go's own installer puts it, besides `PATH`.
const GO: &str = "/usr/local/go/bin/go";

/// Where the tools built here lie.
pub(crate) fn tools() -> PathBuf {
    root().join("target/tools")
}

/// Installs packages and builds tools.
pub(crate) fn setup() -> Result<()> {
    packages()?;
    criu::install(&tools())?;
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

/// The tools, and how each is built.
const WANTED: [(&str, &[&str]); 3] = [
    ("crictl", &["build", "./cmd/crictl"]),
    ("critest", &["test", "-c", "./cmd/critest"]),
    ("ginkgo", &["build", "github.com/onsi/ginkgo/v2/ginkgo"]),
];

fn cri_tools() -> Result<()> {
    let tools = tools();
    if WANTED.iter().all(|(name, _)| tools.join(name).is_file()) {
        return Ok(());
    }
    let Some(go) = find_go() else {
        let advice = "crictl and critest are built with Go: install Go 1.26 or later";
        if std::env::var_os("CI").is_some_and(|value| value == "true") {
            bail!("{advice}");
        }
        eprintln!("!! {advice}. WITHOUT IT THE CONFORMANCE TESTS ARE LEFT OUT.");
        return Ok(());
    };
    fs::create_dir_all(&tools).with_context(|| format!("cannot make {}", tools.display()))?;
    let source = module_copy(&go)?;
    for (name, how) in WANTED {
        let (package, action) = how.split_last().context("a build names a package")?;
        let mut build = go_command(&go, &source);
        let version = format!("-X {CRI_TOOLS}/pkg/version.Version={CRI_TOOLS_VERSION}");
        build.args(action).args(["-ldflags", &version]).arg("-o").arg(tools.join(name)).arg(package);
        run(build)?;
    }
    Ok(())
}

/// Fetches the module and copies it to where it can be changed.
fn module_copy(go: &Path) -> Result<PathBuf> {
    let mut download = go_command(go, &root());
    download.args(["mod", "download", "-json", &format!("{CRI_TOOLS}@{CRI_TOOLS_VERSION}")]);
    let module: Module = serde_json::from_str(&output(download)?).context("go describes the module in another form")?;
    let copy = tools().join("cri-tools");
    let _ = fs::remove_dir_all(&copy);
    let mut command = Command::new("cp");
    command.args(["--recursive", "--no-preserve=mode"]).arg(&module.dir).arg(&copy);
    run(command)?;
    let validate = copy.join("pkg/validate");
    let constants = fs::read_to_string(validate.join("consts.go")).context("cannot read critest's constants")?;
    let is_pinned = |line: &&str| line.contains(PINNED_IMAGE) && line.contains("@sha256:");
    let kept: String = constants.lines().filter(|line| !is_pinned(line)).map(|line| format!("{line}\n")).collect();
    ensure!(constants.lines().filter(is_pinned).count() == 1, "critest pins its image in another way");
    fs::write(validate.join("consts.go"), kept).context("cannot change critest's constants")?;
    fs::write(validate.join("digest.go"), IMAGE_BY_DIGEST).context("cannot add to critest")?;
    Ok(copy)
}

fn go_command(go: &Path, directory: &Path) -> Command {
    let mut command = Command::new(go);
    command.current_dir(directory).env("GOFLAGS", "-buildvcs=false").env("CGO_ENABLED", "0");
    command
}

fn find_go() -> Option<PathBuf> {
    let is_there = |go: &&str| {
        let mut version = Command::new(go);
        version.arg("version");
        output(version).is_ok()
    };
    ["go", GO].into_iter().find(is_there).map(PathBuf::from)
}
