//! `cargo xtask guest`: the black-box tests on what these machines lack: cgroup v2, systemd as process 1, AppArmor.
//!
//! A guest of QEMU without hardware acceleration boots a Debian of our own making, runs the compiled test programs in it and
//! powers off. Everything comes from Debian's packages and lies in `target/guest`; nothing is installed on the machine, nothing of
//! it is mounted or changed. It costs a few minutes, so it is a stage of its own and not part of `cargo xtask test`.

mod image;
mod machine;
mod payload;
mod tools;

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::run::{Stages, cargo, root};
use crate::{setup, test};

/// Builds what is missing, boots the guest and runs the tests whose name holds one of `filters`, or the guest's usual ones.
pub(crate) fn guest(filters: &[String]) -> Result<()> {
    ensure!(test::is_root(), "the guest's file system is made as root");
    let mut stages = Stages::default();
    stages.step("setup", setup::setup);
    stages.step("tools", tools::unpack);
    stages.step("image", image::make);
    stages.command("daemon", cargo(&["build", "--quiet", "--package", "crio"]));
    stages.command("monitor", test::monitor());
    stages.step("payload", || payload::pack(filters));
    if stages.is_good() {
        stages.lines("guest", machine::run);
    }
    let ran = stages.tests();
    stages.finish()?;
    ensure!(ran > 0, "no test ran: none has such a word in its name");
    Ok(())
}

/// Where everything of the guest lies.
fn place(name: &str) -> PathBuf {
    root().join("target/guest").join(name)
}
