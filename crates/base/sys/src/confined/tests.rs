//! Trees that try to lead out, and removal of trees no path reaches.

use std::os::unix::fs::symlink;

use super::*;

struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        let name: String = crate::random::bytes32().unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        let path = std::env::temp_dir().join(format!("crio-confined-{name}"));
        std::fs::create_dir(&path).unwrap();
        std::fs::create_dir(path.join("root")).unwrap();
        std::fs::write(path.join("secret"), "outside").unwrap();
        Self(path)
    }

    fn root(&self) -> Root {
        Root::open(&self.0.join("root")).unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        remove_tree(&self.0).unwrap();
    }
}

#[test]
fn links_and_dots_stay_inside() {
    let tree = Tree::new();
    let inside = tree.0.join("root");
    std::fs::write(inside.join("secret"), "inside").unwrap();
    symlink("/secret", inside.join("absolute")).unwrap();
    symlink("../../../secret", inside.join("climbing")).unwrap();
    for path in ["secret", "/secret", "absolute", "climbing", "../secret", "/../../secret"] {
        let read = tree.root().read_file(Path::new(path), 100).unwrap();
        assert_eq!(read, b"inside", "{path}");
    }
}

#[test]
fn refuses_what_is_not_a_small_regular_file() {
    let tree = Tree::new();
    let inside = tree.0.join("root");
    rustix::fs::mkfifoat(CWD, inside.join("pipe"), Mode::RUSR).unwrap();
    std::fs::write(inside.join("large"), [0; 11]).unwrap();
    symlink("loop", inside.join("loop")).unwrap();
    for path in ["pipe", "large", "loop", ".", "missing"] {
        assert!(tree.root().read_file(Path::new(path), 10).is_err(), "{path}");
    }
}

#[test]
fn directories_are_made_inside() {
    let tree = Tree::new();
    symlink("/elsewhere", tree.0.join("root/link")).unwrap();
    std::fs::create_dir(tree.0.join("root/elsewhere")).unwrap();
    let root = tree.root();
    root.create_directories(Path::new("/link/a/../b/c"), Mode::RWXU).unwrap();
    assert!(tree.0.join("root/elsewhere/b/c").is_dir());
    root.create_directories(Path::new("../../up"), Mode::RWXU).unwrap();
    assert!(tree.0.join("root/up").is_dir());
    assert!(!tree.0.join("up").exists());
    symlink("nowhere", tree.0.join("root/dangling")).unwrap();
    assert!(root.create_directories(Path::new("dangling/x"), Mode::RWXU).is_err());
}

#[test]
fn removal_does_not_follow_links() {
    let tree = Tree::new();
    let doomed = tree.0.join("root/doomed");
    std::fs::create_dir_all(doomed.join("a/b/c")).unwrap();
    std::fs::write(doomed.join("a/file"), "x").unwrap();
    symlink(&tree.0, doomed.join("a/out")).unwrap();
    remove_tree(&doomed).unwrap();
    assert!(!doomed.exists());
    assert!(tree.0.join("secret").exists());
    remove_tree(&doomed).unwrap();
    remove_tree(&tree.0.join("no/such/parent")).unwrap();
}

#[test]
fn a_tree_deeper_than_any_path_is_removed() {
    let tree = Tree::new();
    let mut directory = tree.root().open_directory(Path::new(".")).unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(&directory, "deep", Mode::RWXU).unwrap();
        directory = Root::from_fd(directory).open_directory(Path::new("deep")).unwrap();
    }
    remove_tree(&tree.0.join("root/deep")).unwrap();
    assert!(!tree.0.join("root/deep").exists());
}
