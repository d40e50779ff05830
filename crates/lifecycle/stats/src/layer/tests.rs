//! Trees of known size, and trees that mean harm.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;

fn later() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[test]
fn counts_each_inode_once_and_follows_nothing() {
    let tree = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("large"), vec![1; 1 << 20]).unwrap();
    let root = tree.path();
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::write(root.join("a/file"), vec![1; 10_000]).unwrap();
    fs::hard_link(root.join("a/file"), root.join("a/b/again")).unwrap();
    symlink(outside.path(), root.join("away")).unwrap();
    let usage = measure(root, later()).unwrap();
    assert_eq!(usage.inodes, 5, "root, a, b, file, away");
    assert!((10_000..200_000).contains(&usage.bytes), "{usage:?}");
}

#[test]
fn a_sparse_file_takes_only_its_blocks() {
    let tree = tempfile::tempdir().unwrap();
    fs::File::create(tree.path().join("sparse")).unwrap().set_len(1 << 30).unwrap();
    assert!(measure(tree.path(), later()).unwrap().bytes < 1 << 20);
}

#[test]
fn depth_and_time_are_bounded() {
    let tree = tempfile::tempdir().unwrap();
    let mut deep = tree.path().to_owned();
    for _ in 0..300 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    let limit = u64::try_from(DEPTH_MAX).unwrap();
    assert_eq!(measure(tree.path(), later()).unwrap().inodes, limit + 1);

    let wide = tempfile::tempdir().unwrap();
    for index in 0..600 {
        fs::write(wide.path().join(index.to_string()), "").unwrap();
    }
    assert!(measure(wide.path(), Instant::now()).unwrap().inodes < 300);
}

#[test]
fn a_tree_that_is_not_there_is_an_error() {
    assert!(measure(Path::new("/nonexistent/tree"), later()).is_err());
}
