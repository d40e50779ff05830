//! The demonstration's image: four layers out of Debian packages, and a small web site.
//!
//! | layer | made of | travels as |
//! |---|---|---|
//! | base | `busybox-static`, its applets as hard links, users | gzip |
//! | library | `libc6` | gzip |
//! | tools | `jq` with its libraries | zstd |
//! | site | files written here | uncompressed |
//!
//! Packages are downloaded by apt from the machine's own mirrors and kept in `target/demo/packages`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use crio_testkit::Image;
use crio_testkit::image::{Compression, Format, ImageBuilder, Layer};
use serde_json::json;

/// Where packages are kept, below the workspace.
const PACKAGES: &str = "target/demo/packages";
const BUSYBOX: &str = "/bin/busybox";
const TOOLS: [&str; 3] = ["jq", "libjq1", "libonig5"];
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/sh\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";
/// As the first process of a container it has to say what ends it, and to wait for its children.
const SERVE: &str = "#!/bin/sh\ntrap 'exit 0' TERM\nhttpd -f -vv -p 8080 -h /srv/www &\nwait $!\n";
const PAGE: &str = "<!doctype html>\n<title>shop</title>\n<h1>Hello from a pod</h1>\n";

/// Builds it.
///
/// # Errors
/// A package cannot be had.
pub(crate) fn build() -> Result<Image> {
    let cache = Path::new(PACKAGES);
    let mut wanted = vec!["busybox-static", "libc6"];
    wanted.extend(TOOLS);
    provide(&wanted, cache)?;
    let mut tools = Layer::new();
    for package in TOOLS {
        tools = tools.debian_package(package, cache)?;
    }
    ImageBuilder::new(Format::Oci)
        .layer(base(cache)?, Compression::Gzip)
        .layer(Layer::new().debian_package("libc6", cache)?, Compression::Gzip)
        .layer(tools, Compression::Zstd)
        .layer(site(), Compression::None)
        .config("Cmd", json!(["serve"]))
        .config("WorkingDir", json!("/srv/www"))
        .config("User", json!("nobody"))
        .build()
}

fn base(cache: &Path) -> Result<Layer> {
    let mut layer = Layer::new().debian_package("busybox-static", cache)?;
    let listed = Command::new(BUSYBOX).arg("--list").output().context("cannot run busybox")?;
    for applet in String::from_utf8_lossy(&listed.stdout).lines() {
        if applet != "busybox" {
            layer = layer.hard_link(&format!("/bin/{applet}"), BUSYBOX);
        }
    }
    Ok(layer.directory("/tmp", 0o1777).directory("/root", 0o700).file("/etc/passwd", 0o644, PASSWD).file(
        "/etc/group",
        0o644,
        GROUP,
    ))
}

fn site() -> Layer {
    let stock = json!({ "apples": 3, "pears": 5 });
    Layer::new()
        .file("/bin/serve", 0o755, SERVE)
        .directory("/srv/www/data", 0o755)
        .file("/srv/www/index.html", 0o644, PAGE)
        .file("/srv/www/stock.json", 0o644, format!("{stock}\n"))
}

/// Downloads what is not there yet. The lists of a machine that was never updated are fetched first.
fn provide(packages: &[&str], cache: &Path) -> Result<()> {
    std::fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let there: Vec<String> =
        std::fs::read_dir(cache)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !there.iter().any(|file| file.starts_with(&format!("{package}_"))))
        .collect();
    if missing.is_empty() || apt_get("download", &missing, cache)? {
        return Ok(());
    }
    ensure!(apt_get("update", &[], cache)?, "apt-get cannot update its lists");
    ensure!(apt_get("download", &missing, cache)?, "apt-get cannot download {}", missing.join(", "));
    Ok(())
}

fn apt_get(action: &str, packages: &[&str], directory: &Path) -> Result<bool> {
    // The user that apt downloads as cannot write into our directory.
    let status = Command::new("apt-get")
        .args(["-qq", "-o", "APT::Sandbox::User=root", action])
        .args(packages)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("cannot run apt-get")?;
    Ok(status.success())
}
