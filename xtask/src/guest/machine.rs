//! The guest itself: QEMU without hardware acceleration, which these machines do not give to guests.
//!
//! Its disk is never written: changes go to a temporary file of QEMU's. What the tests print is the first virtual console, which is
//! QEMU's standard output; the kernel's words go to a file.

use std::process::Command;

use anyhow::{Result, ensure};

use super::{payload, place, tools};
use crate::run::stream;

/// A guest that takes longer is ended, whatever it does.
const TIMEOUT: &str = "40m";
const MEMORY: &str = "3072";
/// No udev renames devices here, and the tests are no strangers to the guest.
const KERNEL_COMMAND_LINE: &str =
    "root=/dev/nvme0n1 rw console=ttyS0 quiet panic=-1 mitigations=off net.ifnames=0 apparmor=1 security=apparmor";

/// Boots the guest, shows what the tests print, and keeps the closing lines.
pub(super) fn run(closing: &mut Vec<String>) -> Result<()> {
    stream(command(), closing)?;
    let is_good = closing.last().is_some_and(|line| line == payload::GOOD_END);
    ensure!(is_good, "not all passed in the guest; its kernel's words are in {}", place("console.log").display());
    Ok(())
}

/// The machine is shared with whoever builds on it, so the guest steps back.
fn command() -> Command {
    let mut command = Command::new("timeout");
    command.envs(tools::environment()).args(["--kill-after=10s", TIMEOUT, "nice", "-n", "5"]);
    command.arg(tools::program("qemu-system-x86_64"));
    for directory in ["qemu", "seabios"] {
        command.arg("-L").arg(place("tools/usr/share").join(directory));
    }
    command.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", MEMORY]);
    command.args(["-nodefaults", "-display", "none", "-no-reboot"]);
    command.arg("-kernel").arg(place("vmlinuz")).args(["-append", KERNEL_COMMAND_LINE]);
    let file = |name: &str| place(name).display().to_string();
    // Two NVMe disks would race for the first name: only the root is one.
    command.args(["-drive", &format!("id=root,if=none,format=raw,file={},snapshot=on,cache=unsafe", file("disk.img"))]);
    command.args(["-device", "nvme,drive=root,serial=root"]);
    command.args(["-drive", &format!("if=virtio,format=raw,file={},readonly=on", file(payload::FILE))]);
    command.args(["-chardev", "stdio,id=tests,signal=off", "-device", "virtio-serial"]);
    command.args(["-device", "virtconsole,chardev=tests"]);
    command.args(["-serial", &format!("file:{}", file("console.log"))]);
    command
}
