//! Archives that are written, or not. Needs root, for the mark.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use super::*;
use crate::{CONFIG_DUMP, IMAGES, LOG, Metadata};

fn patience() -> Patience {
    Patience::until(Instant::now() + Duration::from_secs(600))
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn an_archive_appears_whole_and_for_root_alone() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir(at("images")).unwrap();
    std::fs::write(at("images/core-1.img"), "core").unwrap();
    symlink("/etc/passwd", at("images/link")).unwrap();
    std::fs::write(at("log"), "line\n").unwrap();
    std::fs::create_dir(at("out")).unwrap();
    std::fs::write(at("out/it.tar"), "an older one").unwrap();

    let mut writer = ArchiveWriter::create(&at("out/it.tar"), &patience()).unwrap();
    writer.json(CONFIG_DUMP, &Metadata { id: "ab".to_owned(), ..Metadata::default() }).unwrap();
    writer.directory(IMAGES, &at("images")).unwrap();
    writer.file(LOG, &at("log"), 3).unwrap();
    writer.file("left-out", &at("no/such/file"), u64::MAX).unwrap();
    assert!(writer.file("fooled", &at("images/link"), u64::MAX).is_err(), "links are not followed");
    assert_eq!(names(&at("out")), ["it.tar"]);
    assert_eq!(std::fs::read_to_string(at("out/it.tar")).unwrap(), "an older one");
    writer.commit().unwrap();

    assert_eq!(names(&at("out")), ["it.tar"]);
    assert_eq!(std::fs::metadata(at("out/it.tar")).unwrap().permissions().mode() & 0o7777, 0o600);
    let file = File::open(at("out/it.tar")).unwrap();
    let mut archive = tar::Archive::new(&file);
    let found: Vec<(String, u64)> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.path().unwrap().display().to_string(), entry.size()))
        .collect();
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["config.dump", "checkpoint/", "checkpoint/core-1.img", LOG]);
    assert_eq!((found[2].1, found[3].1), (4, 3));
    let digest = hex::encode(Sha256::digest(std::fs::read(at("out/it.tar")).unwrap()));
    assert_eq!(mark::get(&file).unwrap(), Some(format!("sha256:{digest}")));
}

#[test]
fn what_is_not_finished_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let location = directory.path().join("it.tar");
    let mut writer = ArchiveWriter::create(&location, &patience()).unwrap();
    writer.json(CONFIG_DUMP, &Metadata::default()).unwrap();
    drop(writer);
    assert!(names(directory.path()).is_empty());

    let over = Patience::until(Instant::now());
    let mut writer = ArchiveWriter::create(&location, &over).unwrap();
    let late = writer.json(CONFIG_DUMP, &Metadata::default()).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::DeadlineExceeded);
    assert!(writer.commit().is_err());
    assert!(names(directory.path()).is_empty());
}

#[test]
fn bad_places_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("no/such/directory/it.tar");
    for bad in [Path::new(""), Path::new("/"), Path::new("it.tar"), directory.path(), &inside] {
        let refused = ArchiveWriter::create(bad, &patience()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{}", bad.display());
    }
}
