//! The guest's disk: a small Debian 13 with systemd, the OCI runtimes and a kernel, trimmed so that it boots in seconds.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{place, tools};
use crate::apt::source;
use crate::run::run;

const SUITE: &str = "trixie";
/// `sudo` is what critest loads profiles with; nginx, in one of its images, needs the libraries.
const PACKAGES: [&str; 21] = [
    "apparmor",
    "busybox-static",
    "ca-certificates",
    "containernetworking-plugins",
    "crun",
    "dbus",
    "docker-registry",
    "iproute2",
    "iptables",
    "kmod",
    "libssl3t64",
    "libpcre2-8-0",
    "mount",
    "nftables",
    "procps",
    "runc",
    "strace",
    "sudo",
    "systemd-sysv",
    "util-linux",
    "util-linux-extra",
];
/// What nobody reads in a guest, and what would have to be unpacked all the same.
const LEFT_OUT: [&str; 3] = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"];
const TRIM: &str = include_str!("trim.sh");
/// Room for images and layers; the file is sparse.
const DISK_SIZE: &str = "4G";

/// Makes the disk and its kernel, unless they are there and made by this recipe.
pub(super) fn make() -> Result<()> {
    let source = source(SUITE)?;
    let recipe = recipe(&source);
    let known = place("recipe");
    if fs::read_to_string(&known).is_ok_and(|known| known == recipe) {
        return Ok(());
    }
    let root = place("root");
    if root.exists() {
        fs::remove_dir_all(&root).context("cannot remove the old file system")?;
    }
    fs::write(place("trim.sh"), TRIM)?;
    run(debootstrap(&source))?;
    fs::copy(root.join("boot/vmlinuz"), place("vmlinuz")).context("the file system has no kernel")?;
    run(format())?;
    fs::remove_dir_all(&root).context("cannot remove the file system that is in the disk now")?;
    fs::write(known, recipe).context("cannot write the recipe")
}

fn recipe(source: &str) -> String {
    [SUITE, source, &PACKAGES.join(" "), &LEFT_OUT.join(" "), TRIM, DISK_SIZE].join("\n")
}

/// mmdebstrap mounts in the directory it fills: it gets a mount namespace of its own.
fn debootstrap(source: &str) -> Command {
    let mut command = Command::new("unshare");
    command.envs(tools::environment());
    command.args(["--mount", "--propagation", "private", "--"]).arg(tools::program("mmdebstrap"));
    command.args(["--mode=root", "--variant=minbase", "--format=directory"]);
    command.arg(format!("--include={}", PACKAGES.join(",")));
    command.args(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}")));
    command.arg("--aptopt=Acquire::Languages \"none\"");
    command.arg(format!("--customize-hook=sh {} \"$1\"", place("trim.sh").display()));
    command.arg(SUITE).arg(place("root")).arg(source);
    command
}

fn format() -> Command {
    let mut command = Command::new("mke2fs");
    command.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d"]).arg(place("root"));
    command.arg(place("disk.img")).arg(DISK_SIZE);
    command
}
