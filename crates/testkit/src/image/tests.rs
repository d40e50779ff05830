//! Images are the same each time, and other programs read them.

use super::*;
use crate::run;

fn small(format: Format, compression: Compression) -> Image {
    let layer = Layer::new()
        .file("/etc/motd", 0o644, "hello\n")
        .hard_link("/etc/motd2", "/etc/motd")
        .symlink("/etc/motd3", "motd")
        .directory("/tmp", 0o1777);
    ImageBuilder::new(format)
        .layer(layer, compression)
        .layer(Layer::new().whiteout("/etc/motd2").owned_by(3, 4), compression)
        .config("Cmd", json!(["/bin/sh"]))
        .build()
        .unwrap()
}

#[test]
fn the_same_builder_gives_the_same_digests() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let (one, two) = (small(Format::Oci, compression), small(Format::Oci, compression));
        assert_eq!(one.root.digest, two.root.digest);
        assert_eq!(one.id.len(), 64);
    }
}

#[test]
fn skopeo_reads_both_layouts() {
    let directory = tempfile::tempdir().unwrap();
    let oci = directory.path().join("oci");
    small(Format::Oci, Compression::Zstd).write_oci(&oci, "latest").unwrap();
    let dir = directory.path().join("dir");
    let docker = small(Format::Docker, Compression::Gzip);
    docker.write_dir(&dir).unwrap();
    for place in [format!("oci:{}:latest", oci.display()), format!("dir:{}", dir.display())] {
        let config = run::text("skopeo", &["inspect", "--config", &place]).unwrap();
        assert!(config.contains("/bin/sh"), "{place}: {config}");
    }
}

#[test]
fn an_index_lists_platforms() {
    let image = small(Format::Oci, Compression::Gzip);
    let index = Image::index(Format::Oci, &[("linux/amd64", image.clone()), ("linux/arm64", image)]).unwrap();
    assert_eq!(index.manifests.len(), 2);
    assert!(Image::index(Format::Oci, &[("linux", small(Format::Oci, Compression::None))]).is_err());
}

#[test]
fn the_pause_program_runs_and_ends_at_sigterm() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let image = pause().unwrap();
    image.write_oci(&directory.path().join("oci"), "x").unwrap();
    let unpacked = directory.path().join("unpacked");
    let source = format!("{}:x", directory.path().join("oci").display());
    run::text("umoci", &["unpack", "--image", &source, &unpacked.to_string_lossy()]).unwrap();
    let program = unpacked.join("rootfs/pause");
    assert_eq!(std::fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
    let mut child = std::process::Command::new(&program).spawn().unwrap();
    // System call 128 waits for a signal.
    let waits =
        || std::fs::read_to_string(format!("/proc/{}/syscall", child.id())).is_ok_and(|call| call.starts_with("128 "));
    let waited = run::wait_until(std::time::Duration::from_secs(5), waits);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!((waited, child.wait().unwrap().code()), (true, Some(0)));
}

#[test]
fn busybox_has_applets_and_a_shell_of_its_own() {
    let image = busybox().unwrap();
    assert_eq!(image.blobs.len(), 3);
    assert!(image.blobs[0].bytes.len() > 500_000);
}
