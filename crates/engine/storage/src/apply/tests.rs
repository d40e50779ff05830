//! Unpacking: what archives mean, what hostile ones cannot do, and that the same bytes come out again.
//!
//! Needs root (owners, devices, `trusted.` attributes) and GNU tar.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crio_sys::confined::Root;

use super::*;

struct Layer {
    directory: tempfile::TempDir,
    outcome: Result<Applied, ApplyError>,
}

impl Layer {
    /// Unpacks an archive beside a directory `outside` that nothing may touch.
    fn new(archive: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("diff");
        fs::create_dir(&root).unwrap();
        fs::create_dir(directory.path().join("outside")).unwrap();
        fs::write(directory.path().join("outside/secret"), "secret").unwrap();
        let before = snapshot(&directory.path().join("outside"));
        let split = File::create(directory.path().join("split")).unwrap();
        let diff = OwnedFd::from(File::open(&root).unwrap());
        let outcome = apply(archive, diff, split, &ApplyLimits::default(), OnChownError::Fail);
        assert_eq!(snapshot(&directory.path().join("outside")), before);
        Self { directory, outcome }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("diff").join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn applied(&self) -> &Applied {
        self.outcome.as_ref().unwrap_or_else(|error| panic!("{}", crio_types::chain(error)))
    }

    fn is_whiteout(&self, name: &str) -> bool {
        let status = fs::symlink_metadata(self.path(name));
        status.is_ok_and(|status| status.file_type().is_char_device() && status.rdev() == 0)
    }

    fn is_opaque(&self, name: &str) -> bool {
        let mut value = [0u8; 4];
        let length = rustix::fs::lgetxattr(self.path(name), "trusted.overlay.opaque", &mut value);
        length.is_ok_and(|length| value[..length] == *b"y")
    }

    /// The archive, put together again.
    fn assembled(&self) -> Vec<u8> {
        let split = File::open(self.directory.path().join("split")).unwrap();
        let mut out = Vec::new();
        tar_split::assemble(split, &Root::open(&self.path("")).unwrap(), &mut out).unwrap();
        out
    }
}

/// Everything about a tree that an attack could change.
fn snapshot(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut seen = BTreeMap::new();
    let mut left = vec![top.to_owned()];
    while let Some(path) = left.pop() {
        let status = fs::symlink_metadata(&path).unwrap();
        let contents = if status.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let mut names = [0u8; 4096];
        let xattrs = rustix::fs::llistxattr(&path, &mut names).unwrap();
        let facts = (status.mode(), status.uid(), status.gid(), status.nlink(), status.mtime(), status.rdev());
        seen.insert(path.clone(), format!("{facts:?} {contents:?} {:?}", &names[..xattrs]));
        if status.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    seen
}

fn member(name: &str, kind: u8, link: &str, contents: &[u8]) -> Vec<u8> {
    let mut block = vec![0u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000751");
    block[124..135].copy_from_slice(format!("{:011o}", contents.len()).as_bytes());
    block[136..147].copy_from_slice(format!("{:011o}", 1_600_000_000).as_bytes());
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.extend_from_slice(contents);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn file(name: &str, contents: &str) -> Vec<u8> {
    member(name, b'0', "", contents.as_bytes())
}

fn directory(name: &str) -> Vec<u8> {
    member(name, b'5', "", b"")
}

fn symlink(name: &str, target: &str) -> Vec<u8> {
    member(name, b'2', target, b"")
}

#[test]
fn later_entries_replace_earlier_ones() {
    let layer = Layer::new(
        &[
            directory("d"),
            file("d/kept", "kept"),
            directory("./d/"),
            symlink("s", "d"),
            file("s", "no longer a link"),
            file("f", ""),
            directory("f"),
            file("f/x", "x"),
        ]
        .concat(),
    );
    assert!(layer.applied().is_reproducible);
    assert_eq!(layer.read("d/kept"), "kept");
    assert_eq!(layer.read("s"), "no longer a link");
    assert_eq!(layer.read("f/x"), "x");
}

#[test]
fn an_archive_that_overwrites_its_contents_is_unpacked_but_not_reproducible() {
    let cases = [
        [file("a", "one"), file("a", "two")].concat(),
        [directory("d"), file("d/x", "x"), symlink("d", "elsewhere"), file("a", "two")].concat(),
        [directory("d"), symlink("l", "d"), file("d/a", "one"), file("l/a", "2"), file("a", "two")].concat(),
    ];
    for archive in cases {
        let layer = Layer::new(&archive);
        assert!(!layer.applied().is_reproducible);
        assert_eq!(layer.read("a"), "two");
    }
}

#[test]
fn the_same_bytes_come_out_again() {
    let long = "long/".repeat(60) + "file";
    let archive = [
        directory("etc/"),
        file("etc/one", &"x".repeat(70_000)),
        file("./etc/two", "2"),
        symlink("lib", "/etc"),
        file("lib/three", "through a link"),
        file("a/../climbing", "climbs"),
        member("@LongLink", b'L', "", format!("{long}\0").as_bytes()),
        file("short", "long name"),
        file("etc/.wh.hidden", ""),
        member("hard", b'1', "etc/one", b""),
        directory("etc"),
        vec![0; 10_240],
        b"garbage after the end".to_vec(),
    ]
    .concat();
    let layer = Layer::new(&archive);
    assert_eq!(layer.applied().size_bytes, archive.len() as u64);
    assert!(layer.assembled() == archive);
    assert_eq!(layer.read(&long), "long name");
    assert_eq!(layer.read("etc/three"), "through a link");
}

#[test]
fn whiteouts_hide_lower_layers_only() {
    let cases: [(&str, Vec<Vec<u8>>); 6] = [
        ("plain", vec![directory("d"), file("d/.wh.x", "")]),
        ("before the file", vec![directory("d"), file("d/.wh.x", ""), file("d/x", "new")]),
        ("after the file", vec![directory("d"), file("d/x", "new"), file("d/.wh.x", "")]),
        ("before the directory", vec![file("d/.wh.x", ""), directory("d/x"), file("d/x/y", "new")]),
        ("after the directory", vec![directory("d/x"), file("d/x/y", "new"), file("d/.wh.x", "")]),
        ("of a parent", vec![file("d/.wh.x", ""), file("d/x/.wh.y", "")]),
    ];
    for (what, members) in cases {
        let layer = Layer::new(&members.concat());
        assert!(layer.applied().is_reproducible, "{what}");
        let (whiteout, opaque) = (layer.is_whiteout("d/x"), layer.is_opaque("d/x"));
        let expected = match what {
            "plain" | "of a parent" => (true, false),
            "before the file" | "after the file" => (false, false),
            _ => (false, true),
        };
        assert_eq!((whiteout, opaque), expected, "{what}");
    }
    let layer =
        Layer::new(&[file("d/.wh..wh..opq", ""), file("d/.wh..wh.plnk", ""), file(".wh..wh..opq", "")].concat());
    layer.applied();
    assert!(layer.is_opaque("d") && layer.is_opaque(""));
    assert_eq!(fs::read_dir(layer.path("d")).unwrap().count(), 0);
}

#[test]
fn attributes_are_set() {
    let record = |key: &str, value: &[u8]| {
        let bare = key.len() + value.len() + 3;
        let length = (bare..).find(|length| bare + length.to_string().len() == *length).unwrap();
        [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
    };
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let records = [
        record("uid", b"3000000"),
        record("gid", b"7"),
        record("mtime", b"1500000000.123456789"),
        record("SCHILY.xattr.security.capability", &capability),
        record("SCHILY.xattr.user.note", b"hi"),
        record("SCHILY.xattr.trusted.overlay.redirect", b"/outside"),
        record("SCHILY.xattr.security.selinux", b"label"),
    ];
    let mut setuid = file("f", "x");
    setuid[100..107].copy_from_slice(b"0004755");
    setuid[148..156].copy_from_slice(b"        ");
    let sum: u32 = setuid[..512].iter().map(|byte| u32::from(*byte)).sum();
    setuid[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let layer = Layer::new(
        &[
            directory("d"),
            member("pax", b'x', "", &records.concat()),
            setuid,
            file("d/later", "x"),
            symlink("l", "f"),
            member("fifo", b'6', "", b""),
            member("device", b'3', "", b""),
        ]
        .concat(),
    );
    assert_eq!(layer.applied().uids, [0, 3_000_000]);
    let status = fs::metadata(layer.path("f")).unwrap();
    assert_eq!((status.mode() & 0o7777, status.uid(), status.gid()), (0o4755, 3_000_000, 7));
    assert_eq!((status.mtime(), status.mtime_nsec()), (1_500_000_000, 123_456_789));
    let mut value = [0u8; 64];
    let length = rustix::fs::lgetxattr(layer.path("f"), "security.capability", &mut value).unwrap();
    assert_eq!(&value[..length], capability);
    assert!(rustix::fs::lgetxattr(layer.path("f"), "trusted.overlay.redirect", &mut value).is_err());
    assert!(rustix::fs::lgetxattr(layer.path("f"), "security.selinux", &mut value).is_err());
    for name in ["d", "l", "fifo", "device"] {
        let status = fs::symlink_metadata(layer.path(name)).unwrap();
        assert_eq!(status.mtime(), 1_600_000_000, "{name}");
        assert!(status.is_symlink() || status.mode() & 0o7777 == 0o751, "{name}");
    }
}

/// Links that try to lead out, and the entries that would follow them.
#[test]
fn hostile_archives_stay_inside() {
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let probe = tempfile::tempdir().unwrap();
    let absolute = probe.path().to_str().unwrap().to_owned();
    fs::write(probe.path().join("secret"), "secret").unwrap();
    let canary = snapshot(probe.path());
    let links = ["/", "..", "../outside", "../../../../../..", absolute.as_str(), "/proc/self/cwd", ".", "x", "/etc"];
    let prefixes = ["", "./", "/", "a/../", "../../"];
    let open_before = descriptors();
    let mut archives = 0;
    for link in links {
        for prefix in prefixes {
            let at = |name: &str| format!("{prefix}{name}");
            let follow_ups: [Vec<u8>; 10] = [
                file(&at("x/secret"), "overwritten"),
                directory(&at("x")),
                member(&at("x/hard"), b'1', &at("x/secret"), b""),
                member(&at("hard"), b'1', &at("x/secret"), b""),
                file(&at("x/.wh.secret"), ""),
                file(&at("x/.wh..wh..opq"), ""),
                symlink(&at("x/inner"), "../../outside/secret"),
                member(&at("x/fifo"), b'6', "", b""),
                directory(&at("x/secret")),
                file(&at("x"), "replaces the link"),
            ];
            for follow_up in follow_ups {
                let again = file(&at("x/inner"), "through it");
                let layer = Layer::new(&[symlink(&at("x"), link), follow_up, again].concat());
                drop(layer);
                archives += 1;
            }
        }
    }
    assert!(archives >= 400);
    assert_eq!(snapshot(probe.path()), canary);
    // Other tests run beside this one and hold files of their own; 450 archives that leaked would show.
    assert!(descriptors() < open_before + 100);
}

#[test]
fn impossible_entries_are_refused() {
    let cases = [
        ("root as a link", symlink(".", "/etc")),
        ("root as a file", file("/", "x")),
        ("root through dots", symlink("a/..", "/etc")),
        ("file below a file", [file("f", "x"), file("f/g", "y")].concat()),
        ("link to the root", member("h", b'1', "/", b"")),
        ("link to a lower layer's file", member("h", b'1', "lower", b"")),
        ("whiteout of dots", file("d/.wh...", "")),
        ("whiteout of nothing", file("d/.wh.", "")),
        ("long name", member("L", b'L', "", &[b'n'; 300]).into_iter().chain(file("x", "")).collect()),
    ];
    for (what, archive) in cases {
        assert!(Layer::new(&archive).outcome.is_err(), "{what}");
    }
}

#[test]
fn many_entries_of_one_name_take_linear_time() {
    for repeated in [file("d/.wh..wh..opq", ""), file("d/same", ""), directory("d/same")] {
        let archive = repeated.repeat(20_000);
        let start = Instant::now();
        Layer::new(&archive).applied();
        assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    }
}

/// The same tree as GNU tar, which wrote the archive, in each of its formats.
#[test]
fn gnu_tars_formats_come_out_as_they_went_in() {
    let source = tempfile::tempdir().unwrap();
    let at = |name: &str| source.path().join(name);
    fs::create_dir_all(at("d/e")).unwrap();
    fs::write(at("d/file"), vec![5; 200_000]).unwrap();
    fs::write(at("d").join("n".repeat(120)), "long").unwrap();
    fs::write(at("d").join(std::ffi::OsStr::from_bytes(b"not-utf8-\xff")), "raw").unwrap();
    std::os::unix::fs::symlink("l".repeat(150), at("link")).unwrap();
    fs::hard_link(at("d/file"), at("hard")).unwrap();
    std::os::unix::fs::chown(at("d/e"), Some(1234), Some(4321)).unwrap();
    let sparse = File::create(at("sparse")).unwrap();
    sparse.set_len(50 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, &[9; 5000], 10 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, &[8; 5000], 40 << 20).unwrap();
    let archive = tempfile::NamedTempFile::new().unwrap();
    let formats: [&[&str]; 6] = [
        &["--format=gnu"],
        &["--format=gnu", "--sparse"],
        &["--format=pax"],
        &["--format=pax", "--sparse", "--sparse-version=0.0"],
        &["--format=pax", "--sparse", "--sparse-version=0.1"],
        &["--format=pax", "--sparse", "--sparse-version=1.0"],
    ];
    let expected = tree(source.path());
    for format in formats {
        let mut make = Command::new("tar");
        make.args(format).arg("-C").arg(source.path()).arg("-cf").arg(archive.path()).arg(".");
        assert!(make.status().unwrap().success());
        let bytes = fs::read(archive.path()).unwrap();
        let layer = Layer::new(&bytes);
        assert!(layer.applied().is_reproducible, "{format:?}");
        assert!(tree(&layer.path("")) == expected, "{format:?}");
        assert!(layer.assembled() == bytes, "{format:?}");
        if format.contains(&"--sparse") {
            assert!(fs::metadata(layer.path("sparse")).unwrap().blocks() < 200, "{format:?}");
        }
    }
}

/// Paths with what an archive carries about them.
fn tree(top: &Path) -> BTreeMap<PathBuf, (u32, u32, u32, u64, Vec<u8>)> {
    let mut seen = BTreeMap::new();
    let mut left: Vec<PathBuf> = fs::read_dir(top).unwrap().map(|entry| entry.unwrap().path()).collect();
    while let Some(path) = left.pop() {
        let status = fs::symlink_metadata(&path).unwrap();
        let contents = match () {
            () if status.is_file() => fs::read(&path).unwrap(),
            () if status.is_symlink() => fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec(),
            () => Vec::new(),
        };
        let links = if status.is_dir() { 0 } else { status.nlink() };
        seen.insert(
            path.strip_prefix(top).unwrap().to_owned(),
            (status.mode(), status.uid(), status.gid(), links, contents),
        );
        if status.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    seen
}
