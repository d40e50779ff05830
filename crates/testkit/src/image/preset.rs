//! The two images nearly every test needs.

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{Compression, Format, Image, ImageBuilder, Layer};
use crate::run;

const BUSYBOX: &str = "/bin/busybox";

/// Debian's static busybox with its applets as hard links, dash as `/bin/sh`, and the users `root`, `daemon`, `nobody`.
///
/// The shell is not busybox's own because that runs applets without looking at the file system, so that a masked or replaced
/// program would seem to work.
///
/// # Errors
/// The package `busybox-static` is not installed.
pub fn busybox() -> Result<Image> {
    busybox_builder()?.build()
}

/// A builder whose layers so far are those of [`busybox`].
///
/// # Errors
/// As [`busybox`].
pub fn busybox_builder() -> Result<ImageBuilder> {
    let files = Layer::new()
        .directory("/tmp", 0o1777)
        .directory("/root", 0o700)
        .directory("/proc", 0o755)
        .directory("/sys", 0o755)
        .directory("/dev", 0o755)
        .file("/etc/passwd", 0o644, PASSWD)
        .file("/etc/group", 0o644, GROUP)
        .file("/etc/hosts", 0o644, "127.0.0.1\tlocalhost\n");
    let builder = ImageBuilder::new(Format::Oci)
        .layer(programs()?, Compression::Gzip)
        .layer(files, Compression::Gzip)
        .config("Cmd", json!(["/bin/sh"]));
    Ok(builder)
}

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\nstaff:x:50:\nnogroup:x:65534:\n";

fn programs() -> Result<Layer> {
    let mut layer = Layer::new()
        .host_file(BUSYBOX, "/bin/busybox")?
        .host_program("/bin/dash", "/bin/sh")
        .context("dash is every Debian's shell")?;
    let applets = run::text(BUSYBOX, &["--list"])?;
    for applet in applets.lines().filter(|applet| !["busybox", "sh"].contains(applet)) {
        layer = layer.hard_link(&format!("/bin/{applet}"), BUSYBOX);
    }
    Ok(layer)
}

/// An image whose only program sleeps, reaps and ends at SIGTERM or SIGINT.
///
/// # Errors
/// It cannot be packed.
pub fn pause() -> Result<Image> {
    pause_builder().build()
}

/// A builder of [`pause`], for images that do the same and are not the same.
#[must_use]
pub fn pause_builder() -> ImageBuilder {
    ImageBuilder::new(Format::Oci)
        .layer(Layer::new().file("/pause", 0o755, pause_program()), Compression::Gzip)
        .config("Entrypoint", json!(["/pause"]))
        .config("User", json!("65535:65535"))
}

/// A static x86-64 program of one page: blocks SIGINT, SIGTERM and SIGCHLD, waits for them with `rt_sigtimedwait`, reaps on
/// SIGCHLD and exits on the others. Signals that are blocked reach the first process of a pid namespace although their default
/// action would be ignored there.
fn pause_program() -> Vec<u8> {
    const CODE: [u8; 98] = [
        0x48, 0x83, 0xec, 0x10, // sub rsp, 16
        0x48, 0xc7, 0x04, 0x24, 0x02, 0x40, 0x01, 0x00, // mov qword [rsp], the set of the three signals
        0x31, 0xff, 0x48, 0x89, 0xe6, 0x31, 0xd2, 0x41, 0xba, 0x08, 0x00, 0x00, 0x00, // SIG_BLOCK, rsp, null, 8
        0xb8, 0x0e, 0x00, 0x00, 0x00, 0x0f, 0x05, // rt_sigprocmask
        0x48, 0x89, 0xe7, 0x31, 0xf6, 0x31, 0xd2, 0x41, 0xba, 0x08, 0x00, 0x00, 0x00, // wait: rsp, null, null, 8
        0xb8, 0x80, 0x00, 0x00, 0x00, 0x0f, 0x05, // rt_sigtimedwait
        0x83, 0xf8, 0x11, 0x75, 0x1c, // not SIGCHLD: go to other
        0xbf, 0xff, 0xff, 0xff, 0xff, 0x31, 0xf6, // reap: -1, null
        0xba, 0x01, 0x00, 0x00, 0x00, 0x45, 0x31, 0xd2, // WNOHANG, null
        0xb8, 0x3d, 0x00, 0x00, 0x00, 0x0f, 0x05, // wait4
        0x85, 0xc0, 0x7f, 0xe6, 0xeb, 0xcb, // again while there was one, then back to wait
        0x85, 0xc0, 0x78, 0xc7, // other: interrupted, back to wait
        0x31, 0xff, 0xb8, 0x3c, 0x00, 0x00, 0x00, 0x0f, 0x05, // exit(0)
    ];
    const HEADERS: u64 = 64 + 56;
    const BASE: u64 = 0x40_0000;
    let length = HEADERS + CODE.len() as u64;
    let mut program = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut put = |bytes: &[u8]| program.extend_from_slice(bytes);
    // The file header: an executable for x86-64, version 1.
    put(&2u16.to_le_bytes());
    put(&62u16.to_le_bytes());
    put(&1u32.to_le_bytes());
    // Entry point, program headers, no section headers, no flags.
    for value in [BASE + HEADERS, 64, 0] {
        put(&value.to_le_bytes());
    }
    put(&0u32.to_le_bytes());
    for value in [64u16, 56, 1, 0, 0, 0] {
        put(&value.to_le_bytes());
    }
    // One segment, loaded readable and executable.
    put(&1u32.to_le_bytes());
    put(&5u32.to_le_bytes());
    for value in [0, BASE, BASE, length, length, 0x1000] {
        put(&value.to_le_bytes());
    }
    put(&CODE);
    program
}
