//! Sources for an apt that has nothing of the machine's own settings, for packages that are unpacked and not installed.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::run::output;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A line of `sources.list` for a release of Debian, from where this machine gets Debian itself.
pub(crate) fn source(release: &str) -> Result<String> {
    Ok(format!("deb [signed-by={KEYRING}] {} {release} main", mirror()?))
}

fn mirror() -> Result<String> {
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]);
    let targets = output(targets)?;
    let debian = targets.lines().find_map(|line| line.strip_prefix("Debian "));
    debian.map(str::to_owned).context("apt knows no mirror of Debian: run `apt-get update`")
}
