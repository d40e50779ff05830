//! Layers that try to write outside their image.

use std::fs;
use std::path::Path;

use anyhow::Result;
use crio_testkit::Options;
use crio_tests::Stage;
use crio_tests::hostile::{HostileRegistry, honest};
use crio_tests::images::{Forged, tar, tar_entry};

const FILE: u8 = b'0';
const HARD_LINK: u8 = b'1';
const SYMLINK: u8 = b'2';
const DIRECTORY: u8 = b'5';

/// Archives that would write to, or through, `outside` on a node that trusts them.
fn attempts(outside: &Path) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let outside = outside.to_string_lossy().into_owned();
    let dots = format!("{}{}", "../".repeat(20), outside.trim_start_matches('/'));
    let at = |name: &str| format!("{outside}/{name}");
    vec![
        ("dots", vec![tar_entry(FILE, &format!("{dots}/new"), "", b"bad")]),
        (
            "dots-within",
            vec![tar_entry(DIRECTORY, "a/", "", b""), tar_entry(FILE, &format!("a/{dots}/new"), "", b"bad")],
        ),
        ("absolute", vec![tar_entry(FILE, &at("new"), "", b"bad")]),
        ("through-a-link", vec![tar_entry(SYMLINK, "link", &outside, b""), tar_entry(FILE, "link/new", "", b"bad")]),
        (
            "through-dots-in-a-link",
            vec![tar_entry(SYMLINK, "link", &dots, b""), tar_entry(FILE, "link/new", "", b"bad")],
        ),
        ("hard-link", vec![tar_entry(HARD_LINK, "stolen", &at("secret"), b"")]),
        ("hard-link-dots", vec![tar_entry(HARD_LINK, "stolen", &format!("{dots}/secret"), b"")]),
        (
            "hard-link-and-write",
            vec![tar_entry(HARD_LINK, "stolen", &at("secret"), b""), tar_entry(FILE, "stolen", "", b"bad")],
        ),
        ("whiteout", vec![tar_entry(SYMLINK, "link", &outside, b""), tar_entry(FILE, "link/.wh.secret", "", b"")]),
        ("whiteout-dots", vec![tar_entry(FILE, ".wh...", "", b""), tar_entry(FILE, ".wh..", "", b"")]),
        ("whiteout-path", vec![tar_entry(FILE, &format!("{dots}/.wh.secret"), "", b"")]),
    ]
}

/// Every file below a directory, with what it holds.
fn snapshot(directory: &Path) -> Result<Vec<(String, String, u32)>> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let links = u32::try_from(entry.metadata()?.nlink())?;
        found.push((entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?, links));
    }
    found.sort();
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_cannot_leave_its_image() -> Result<()> {
    let outside = tempfile::Builder::new().prefix("ct-outside-").tempdir()?;
    fs::write(outside.path().join("secret"), "secret")?;
    let mut answers = crio_tests::hostile::Answers::new();
    let attempts = attempts(outside.path());
    for (name, entries) in &attempts {
        answers.extend(honest(&Forged::of_tar(tar(entries)).image(), name, "1"));
    }
    let registry = HostileRegistry::start(answers).await?;
    let stage = Stage::set_with(Options { insecure_registries: vec![registry.host()], ..Options::default() }).await?;
    let before = snapshot(outside.path())?;
    let stored = stage.stored()?;
    for (name, _) in &attempts {
        let image = format!("{}/{name}:1", registry.host());
        let pulled = stage.cri.pull(&image).await;
        assert_eq!(snapshot(outside.path())?, before, "{name}: {pulled:?}");
        match pulled {
            // Clamped to the image's own root, as a chroot would, or refused as a whole.
            Ok(_) => {}
            Err(status) => {
                assert!(status.message().contains(name), "{name}: {status:?}");
                assert!(status.message().contains("layer"), "{name}: {status:?}");
                let ours = stage.stored()?;
                assert!(ours.len() >= stored.len(), "{name}");
            }
        }
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_archive_is_refused() -> Result<()> {
    let mut broken = tar_entry(FILE, "file", "", b"content");
    broken[148] ^= 1;
    let mut cut = tar_entry(FILE, "file", "", &[1; 4096]);
    cut.truncate(1024);
    let long = tar_entry(FILE, "file", "", b"");
    let mut negative = long.clone();
    negative[124..136].copy_from_slice(&[0xff; 12]);
    let cases =
        [("checksum", tar(&[broken])), ("cut-short", cut), ("noise", vec![0xa5; 4096]), ("size", tar(&[negative]))];
    let mut answers = crio_tests::hostile::Answers::new();
    for (name, bytes) in &cases {
        answers.extend(honest(&Forged::of_tar(bytes.clone()).image(), name, "1"));
    }
    let registry = HostileRegistry::start(answers).await?;
    let stage = Stage::set_with(Options { insecure_registries: vec![registry.host()], ..Options::default() }).await?;
    let before = stage.stored()?;
    for (name, _) in &cases {
        let image = format!("{}/{name}:1", registry.host());
        crio_tests::refused(stage.cri.pull(&image).await, tonic::Code::InvalidArgument, &[name, "layer"])?;
        assert_eq!(stage.stored()?, before, "{name}");
    }
    stage.close().await
}
