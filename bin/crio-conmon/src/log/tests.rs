//! Tests of the log file: what is opened, what is refused, what becomes of a full disk.

use std::os::unix::fs::{MetadataExt, symlink};

use super::*;

fn records(lines: &[&str]) -> Vec<u8> {
    let mut header = Header::default();
    let mut records = Vec::new();
    for line in lines {
        header.append(&mut records, Tag::Full, line.as_bytes());
    }
    records
}

fn contents(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| line[crate::record::HEADER_BYTES..].to_owned()).collect()
}

#[test]
fn only_a_regular_file_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    Log::open(&path("new"), None).unwrap();
    assert_eq!(std::fs::metadata(path("new")).unwrap().mode() & 0o7777 & !0o640, 0);
    symlink("/nowhere/at/all", path("dangling")).unwrap();
    Log::open(&path("dangling"), None).unwrap();
    assert!(std::fs::symlink_metadata(path("dangling")).unwrap().is_file());
    symlink(path("new"), path("link")).unwrap();
    assert!(Log::open(&path("link"), None).is_err());
    std::fs::create_dir(path("directory")).unwrap();
    assert!(Log::open(&path("directory"), None).is_err());
    rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), rustix::fs::FileType::Fifo, LOG_MODE, 0).unwrap();
    assert!(Log::open(&path("fifo"), None).is_err());
    assert!(Log::open(&path("missing/log"), None).is_err());
}

#[test]
fn no_directory_of_the_path_may_be_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let container = directory.path().join("container");
    std::fs::create_dir(&container).unwrap();
    let mut log = Log::open(&container.join("0.log"), None).unwrap();
    std::fs::rename(&container, directory.path().join("aside")).unwrap();
    symlink(outside.path(), &container).unwrap();
    assert!(log.reopen().is_err());
    assert!(Log::open(&container.join("1.log"), None).is_err());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0, "nothing was made behind the link");
}

#[test]
fn reopening_leaves_the_old_file_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (path, rotated) = (directory.path().join("log"), directory.path().join("log.1"));
    let mut log = Log::open(&path, None).unwrap();
    log.write(&records(&["one"]));
    std::fs::rename(&path, &rotated).unwrap();
    log.write(&records(&["two"]));
    log.reopen().unwrap();
    log.write(&records(&["three"]));
    assert_eq!(contents(&rotated), ["one", "two"]);
    assert_eq!(contents(&path), ["three"]);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(log.reopen().is_err());
}

#[test]
fn a_size_limit_starts_the_file_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let mut log = Log::open(&path, Some(10_000)).unwrap();
    let line = "x".repeat(4_000);
    for _ in 0..3 {
        log.write(&records(&[&line]));
    }
    assert_eq!(contents(&path).len(), 1);
    log.write(&records(&["y"]));
    assert_eq!(contents(&path).len(), 2);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    assert_eq!(log.batch_bytes(), 10_000);
}

#[test]
fn what_a_full_disk_loses_is_counted_to_the_byte() {
    let directory = tempfile::tempdir().unwrap();
    let mounted = directory.path().join("small");
    std::fs::create_dir(&mounted).unwrap();
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("none", &mounted, "tmpfs", flags, Some(c"size=16384")).unwrap();
    let path = mounted.join("log");
    let mut log = Log::open(&path, None).unwrap();
    let line = "z".repeat(955);
    for _ in 0..6 {
        log.write(&records(&[line.as_str(); 5]));
    }
    let kept = contents(&path).len();
    assert!(contents(&path).iter().all(|kept| *kept == line), "no record is torn");
    // 16 KiB hold sixteen records of 1001 bytes.
    assert_eq!(kept, 16);
    rustix::fs::ftruncate(&log.file, 0).unwrap();
    log.size_bytes = 0;
    log.write(&records(&["after"]));
    let rest = contents(&path);
    let missing = format!("crio-conmon: {} bytes, {} lines of output are missing here", (30 - kept) * 956, 30 - kept);
    assert!(rest[0].starts_with(&missing), "{}", rest[0]);
    assert_eq!(rest[1..], ["after"]);
    drop(log);
    rustix::mount::unmount(&mounted, rustix::mount::UnmountFlags::empty()).unwrap();
}
