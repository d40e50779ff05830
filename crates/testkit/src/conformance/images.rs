//! The images that critest names, made of Debian's programs.
//!
//! | image | what critest does with it |
//! |---|---|
//! | busybox | runs nearly everything in it: needs `pgrep` and `ipcs` besides busybox, and a shell that looks at the file system |
//! | nginx, hostnet-nginx | asks for a page at port 80 or 12003, looks for the master process and its pid file |
//! | httpd | asks for a page at port 80, reads the name from the log |
//! | nonewprivs | reads the effective uid of a program that has the set-uid bit |
//! | pause | has it under the same name in two registries |
//! | test-image-… | pulls, lists and removes; `tag:test` runs too |
//! | test-image-user-… | reads the user from the configuration |
//! | test-image-predefined-group | its user is in a group of the image |

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::Image;
use crate::image::{Compression, Format, ImageBuilder, Layer, busybox_builder, pause_builder};

const E2E: &str = "registry.k8s.io/e2e-test-images";
const STAGING: &str = "gcr.io/k8s-staging-cri-tools";
const BENCHMARK: &str = "public.ecr.aws/docker/library";
const SHELL: &str = "/bin/dash";
const AWK: &str = "/usr/bin/mawk";
const NGINX: &str = "/usr/sbin/nginx";

/// The images.
#[derive(Debug)]
pub(super) struct Images {
    /// Each with the name that critest uses.
    pub(super) named: Vec<(String, Image)>,
    /// The digest of the image that is pulled by digest.
    pub(super) by_digest: String,
}

/// Registries that the names begin with.
pub(super) const REGISTRIES: [&str; 4] = ["registry.k8s.io", "k8s.gcr.io", "gcr.io", "public.ecr.aws"];

/// Builds all. Packages are kept in `packages`.
///
/// # Errors
/// A program is not on this machine, or a package cannot be had.
pub(super) fn all(packages: &Path) -> Result<Images> {
    let shell = busybox_builder()?.layer(tools()?, Compression::Gzip);
    let mut named = vec![(format!("{E2E}/busybox:1.29-2"), shell.build()?)];
    named.push((format!("{E2E}/httpd:2.4.39-4"), httpd(&shell)?));
    named.push((format!("{E2E}/nginx:1.14-2"), nginx(&shell, 80, packages)?));
    named.push((format!("{STAGING}/hostnet-nginx-{}:latest", architecture()), nginx(&shell, 12003, packages)?));
    named.push((format!("{E2E}/nonewprivs:1.3"), effective_uid()?));
    let pause = pause_builder().config("Labels", json!({ "version": "3.9" })).build()?;
    for registry in ["registry.k8s.io", "k8s.gcr.io"] {
        named.push((format!("{registry}/pause:3.9"), pause.clone()));
    }
    named.push((format!("{STAGING}/test-image-tag:test"), marked(&shell, "test-image-tag:test").build()?));
    named.extend(to_look_at()?);
    named.extend(with_users()?);
    named.push((format!("{STAGING}/test-image-predefined-group:latest"), predefined_group(&shell)?));
    for version in ["1", "1.35", "1.36"] {
        named.push((format!("{BENCHMARK}/busybox:{version}"), marked(&shell, version).build()?));
    }
    let by_digest = small("digest")?;
    let digest = by_digest.root.digest.clone();
    named.push((format!("{STAGING}/test-image-digest:latest"), by_digest));
    Ok(Images { named, by_digest: digest })
}

/// The name Go has for this machine's architecture.
fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// What critest expects in its busybox and Debian's has not.
fn tools() -> Result<Layer> {
    Layer::new()
        .file("/bin/sh", 0o755, shell(&std::fs::read(SHELL).context("cannot read dash")?)?)
        .libraries_of(SHELL)?
        .host_program("/usr/bin/pgrep", "/bin/pgrep")?
        .host_program("/usr/bin/ipcs", "/bin/ipcs")
}

/// dash, which says the line number before the name of a command that it cannot run; a spec compares the message of a shell
/// that does not. The number is printed to a length of nothing instead, which leaves the length of the program as it is.
fn shell(dash: &[u8]) -> Result<Vec<u8>> {
    const MESSAGE: &[u8] = b"\0%s: %d: \0";
    const TERSE: &[u8] = b"\0%s: %.0s\0";
    let at = dash.windows(MESSAGE.len()).position(|window| window == MESSAGE);
    let at = at.context("this dash words its messages in another way")?;
    let mut shell = dash.to_vec();
    shell[at..at + MESSAGE.len()].copy_from_slice(TERSE);
    Ok(shell)
}

fn marked(shell: &ImageBuilder, name: &str) -> ImageBuilder {
    shell.clone().layer(Layer::new().file("/name", 0o644, name), Compression::Gzip)
}

/// busybox's own server; the log names it as the real one's does.
fn httpd(shell: &ImageBuilder) -> Result<Image> {
    const SERVE: &str = "echo 'httpd: serving /srv'; exec httpd -f -p 80 -h /srv";
    shell
        .clone()
        .layer(Layer::new().file("/srv/index.html", 0o644, "It works!\n"), Compression::Gzip)
        .config("Cmd", json!(["/bin/sh", "-c", SERVE]))
        .build()
}

/// Debian's nginx, in the foreground, with all it says on standard error.
fn nginx(shell: &ImageBuilder, port: u16, packages: &Path) -> Result<Image> {
    let configuration = format!(
        "user root;\nworker_processes 1;\npid /var/run/nginx.pid;\nerror_log stderr;\ndaemon off;\nevents {{}}\n\
         http {{\n  access_log /dev/stdout;\n  server {{ listen {port}; root /srv; }}\n}}\n"
    );
    let layer = Layer::new()
        .packaged_program("nginx", NGINX, packages)?
        .file("/etc/nginx/nginx.conf", 0o644, configuration)
        .file("/srv/index.html", 0o644, "Welcome!\n")
        .directory("/var/run", 0o755)
        .directory("/var/log/nginx", 0o755)
        .directory("/var/lib/nginx", 0o755);
    shell
        .clone()
        .layer(layer, Compression::Gzip)
        .config("Cmd", json!([NGINX, "-e", "stderr", "-c", "/etc/nginx/nginx.conf"]))
        .config("StopSignal", json!("SIGTERM"))
        .build()
}

/// An interpreter with the set-uid bit, and a script that has the kernel say who runs it.
fn effective_uid() -> Result<Image> {
    const SCRIPT: &str = "\
BEGIN {
    while ((getline line < \"/proc/self/status\") > 0)
        if (split(line, word) && word[1] == \"Uid:\") print \"Effective uid: \" word[3]
}
";
    let awk = std::fs::read(AWK).context("cannot read mawk")?;
    let layer = Layer::new()
        .file("/bin/awk", 0o4755, awk)
        .libraries_of(AWK)?
        .file("/effective-uid", 0o644, SCRIPT)
        .file("/etc/passwd", 0o644, "root:x:0:0:root:/:/bin/false\n");
    ImageBuilder::new(Format::Oci)
        .layer(layer, Compression::Gzip)
        .config("Cmd", json!(["/bin/awk", "-f", "/effective-uid"]))
        .build()
}

/// Images that never run.
fn to_look_at() -> Result<Vec<(String, Image)>> {
    let mut named = Vec::new();
    for name in ["latest", "1", "2", "3"] {
        named.push((format!("{STAGING}/test-image-{name}:latest"), small(name)?));
    }
    named.push((format!("{STAGING}/test-image-tag:all"), small("all")?));
    let tagged = small("tags")?;
    for tag in 1..=3 {
        named.push((format!("{STAGING}/test-image-tags:{tag}"), tagged.clone()));
    }
    Ok(named)
}

fn small(content: &str) -> Result<Image> {
    ImageBuilder::new(Format::Docker)
        .layer(Layer::new().file("/name", 0o644, content), Compression::Gzip)
        .config("Cmd", json!(["/name"]))
        .build()
}

fn with_users() -> Result<Vec<(String, Image)>> {
    let users =
        [("uid", "1002"), ("username", "www-data"), ("uid-group", "1003:1004"), ("username-group", "www-data:1004")];
    let image = |(name, user)| -> Result<(String, Image)> {
        let builder = ImageBuilder::new(Format::Docker)
            .layer(Layer::new().file("/name", 0o644, name), Compression::Gzip)
            .config("User", json!(user));
        Ok((format!("{STAGING}/test-image-user-{name}:latest"), builder.build()?))
    };
    users.into_iter().map(image).collect()
}

fn predefined_group(shell: &ImageBuilder) -> Result<Image> {
    let layer = Layer::new()
        .file("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\ndefault-user:x:1000:1000::/:/bin/sh\n")
        .file("/etc/group", 0o644, "root:x:0:\ndefault-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n");
    shell.clone().layer(layer, Compression::Gzip).config("User", json!("1000")).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_leaves_out_the_line_number_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sh");
        std::fs::write(&path, shell(&std::fs::read(SHELL).unwrap()).unwrap()).unwrap();
        std::fs::write(directory.path().join("masked"), "").unwrap();
        std::process::Command::new("chmod").arg("755").arg(&path).status().unwrap();
        let output =
            std::process::Command::new(&path).args(["-c", "masked"]).env("PATH", directory.path()).output().unwrap();
        let expected = format!("{}: masked: Permission denied\n", path.display());
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
        assert!(shell(b"another program").is_err());
    }

    #[test]
    fn images_that_never_run_differ_but_for_the_tags_of_one() {
        let images = to_look_at().unwrap();
        let ids: std::collections::BTreeSet<_> = images.iter().map(|(_, image)| &image.id).collect();
        assert_eq!((images.len(), ids.len()), (8, 6));
    }
}
