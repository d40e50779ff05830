//! Archives that are taken apart, and those that are not. Needs root, for the mark.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use tar::{EntryType, Header};

use super::*;
use crate::{ArchiveWriter, ROOTFS_DIFF};

fn patience() -> Patience {
    Patience::until(Instant::now() + Duration::from_secs(600))
}

/// An entry with a path that no honest program writes.
fn entry(kind: EntryType, path: &str, link: &str, contents: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(contents.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(path: &str, contents: &str) -> Vec<u8> {
    entry(EntryType::Regular, path, "", contents.as_bytes())
}

/// What an honest archive begins with.
fn honest() -> Vec<Vec<u8>> {
    vec![
        file("config.dump", r#"{"id":"ab","rootfsImageRef":"cd"}"#),
        file("spec.dump", r#"{"ociVersion":"1.0.2"}"#),
        entry(EntryType::Directory, "checkpoint/", "", b""),
        file("checkpoint/inventory.img", "inventory"),
    ]
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.at("images")).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes an archive and marks it as ours, as an administrator may be led to do.
    fn archive(&self, entries: &[Vec<u8>]) -> PathBuf {
        let mut bytes = entries.concat();
        bytes.extend_from_slice(&[0; 1024]);
        let path = self.at("it.tar");
        std::fs::write(&path, &bytes).unwrap();
        let mut hash = Sha256::new();
        hash.update(&bytes);
        mark::set(&File::open(&path).unwrap(), &mark::value(hash)).unwrap();
        path
    }

    fn restore(&self, path: &Path) -> Result<(Checkpoint, Unpacked, Vec<u8>), ReadError> {
        let checkpoint = Checkpoint::open(path, &patience())?;
        let mut diff = Vec::new();
        let unpacked = checkpoint.unpack(&self.at("images"), &patience(), |reader| {
            reader.read_to_end(&mut diff).map_err(|error| read_error(path, error)).map(drop)
        })?;
        Ok((checkpoint, unpacked, diff))
    }

    fn images(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.at("images")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

#[test]
fn what_is_written_is_read() {
    let place = Place::new();
    std::fs::create_dir(place.at("dump")).unwrap();
    std::fs::write(place.at("dump/inventory.img"), "inventory").unwrap();
    std::fs::write(place.at("diff"), "an archive in the archive").unwrap();
    let mut writer = ArchiveWriter::create(&place.at("it.tar"), &patience()).unwrap();
    let metadata = Metadata { id: "ab".to_owned(), ..Metadata::default() };
    writer.json(CONFIG_DUMP, &metadata).unwrap();
    writer.json(SPEC_DUMP, &serde_json::json!({ "ociVersion": "1.0.2" })).unwrap();
    writer.directory(IMAGES, &place.at("dump")).unwrap();
    writer.file(ROOTFS_DIFF, &place.at("diff"), u64::MAX).unwrap();
    writer.json(DELETED_FILES, &["/etc/motd"]).unwrap();
    writer.commit().unwrap();
    let (checkpoint, unpacked, diff) = place.restore(&place.at("it.tar")).unwrap();
    assert_eq!((checkpoint.metadata, checkpoint.spec["ociVersion"].as_str()), (metadata, Some("1.0.2")));
    assert_eq!(unpacked.deleted, [PathBuf::from("/etc/motd")]);
    assert_eq!(diff, b"an archive in the archive");
    assert_eq!(place.images(), ["inventory.img"]);
}

#[test]
fn what_others_write_is_passed_over() {
    let place = Place::new();
    let mut entries = honest();
    for name in
        ["stats-dump", "dump.log", "bind.mounts", "network.status", "artifacts/x", "./io.kubernetes.cri-o.LogPath"]
    {
        entries.push(file(name, "something"));
    }
    entries.push(entry(EntryType::Directory, "artifacts/", "", b""));
    place.restore(&place.archive(&entries)).unwrap();
    assert_eq!(place.images(), ["inventory.img"]);
}

/// Every way out of the archive that was thought of, as one more entry of an honest one.
fn attacks() -> Vec<Vec<u8>> {
    use EntryType::{Block, Char, Directory, Fifo, Link, Regular, Symlink};
    let mut attacks = Vec::new();
    for path in [
        "../evil",
        "/evil",
        "checkpoint/../../evil",
        "checkpoint/..",
        "checkpoint/../evil",
        "checkpoint/sub/evil",
        "checkpoint//evil",
        "checkpoint/./evil",
        "a/../../evil",
        "../checkpoint/evil",
        "./../evil",
        "rootfs-diff.tar/..",
    ] {
        attacks.extend([file(path, "evil"), entry(Directory, path, "", b"")]);
    }
    for kind in [Symlink, Link, Char, Block, Fifo] {
        for path in ["checkpoint/evil", "rootfs-diff.tar", "io.kubernetes.cri-o.LogPath", "evil"] {
            attacks.push(entry(kind, path, "/etc/shadow", b""));
        }
    }
    attacks.push(entry(Directory, "checkpoint/evil", "", b""));
    attacks.push(entry(Directory, "rootfs-diff.tar", "", b""));
    attacks.push(entry(Regular, "checkpoint", "", b"evil"));
    attacks.push(file("checkpoint/inventory.img", "twice"));
    attacks.push([file(ROOTFS_DIFF, "once"), file(ROOTFS_DIFF, "twice")].concat());
    attacks.push(file(DELETED_FILES, "{}"));
    attacks.push(file(DELETED_FILES, "[1]"));
    attacks.push(file(DELETED_FILES, &serde_json::to_string(&vec!["/x"; DELETED_MAX + 1]).unwrap()));
    attacks.push(vec![0xa5; 512]);
    attacks.push(file("cut-short", &"x".repeat(4096))[..512].to_vec());
    attacks
}

#[test]
fn hostile_archives_are_refused_and_reach_nothing() {
    let attacks = attacks();
    assert!(attacks.len() >= 40);
    for (number, attack) in attacks.into_iter().enumerate() {
        let place = Place::new();
        let mut entries = honest();
        entries.push(attack);
        if number % 2 == 0 {
            entries.rotate_right(1);
        }
        let path = place.archive(&entries);
        let refused = place.restore(&path).expect_err(&format!("attack {number}"));
        // What is cut short swallows what comes behind it; that is no archive, either.
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "attack {number}: {refused}");
        let mut left: Vec<String> = std::fs::read_dir(place.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        assert_eq!(left, ["images", "it.tar"], "attack {number}");
        assert!(place.images().iter().all(|name| name == "inventory.img"), "attack {number}");
    }
}

#[test]
fn what_is_missing_or_too_large_is_refused() {
    for missing in 0..4 {
        if missing == 2 {
            continue;
        }
        let place = Place::new();
        let mut entries = honest();
        entries.remove(missing);
        let refused = place.restore(&place.archive(&entries)).unwrap_err();
        assert!(refused.to_string().contains("is missing"), "{refused}");
    }
    let place = Place::new();
    let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(1 << 20));
    let refused = place.restore(&place.archive(&[vec![file(CONFIG_DUMP, &long)], honest()[1..].to_vec()].concat()));
    assert!(refused.unwrap_err().to_string().contains("more than"));
}

#[test]
fn only_what_this_host_wrote_is_restored() {
    let place = Place::new();
    let path = place.archive(&honest());
    place.restore(&path).unwrap();
    std::fs::remove_file(place.at("images/inventory.img")).unwrap();

    // One byte of the state is changed in place: the mark stays, and gives it away.
    let bytes = std::fs::read(&path).unwrap();
    let mut opened = File::options().write(true).open(&path).unwrap();
    let state = bytes.windows(10).position(|window| window == b"inventory\0").unwrap();
    opened.seek(SeekFrom::Start(state as u64)).unwrap();
    opened.write_all(b"x").unwrap();
    let refused = place.restore(&path).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");

    // A copy has no mark.
    std::fs::write(place.at("copy.tar"), bytes).unwrap();
    let refused = Checkpoint::open(&place.at("copy.tar"), &patience()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
    symlink(&path, place.at("link.tar")).unwrap();
    assert_eq!(Checkpoint::open(&place.at("link.tar"), &patience()).unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(Checkpoint::open(&place.at("none.tar"), &patience()).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(Checkpoint::open(&place.at("images"), &patience()).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let late = Checkpoint::open(&path, &Patience::until(Instant::now())).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::DeadlineExceeded);
}
