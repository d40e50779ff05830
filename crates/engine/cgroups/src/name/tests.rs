//! Names under both drivers, and the parents that are refused.

use super::*;

fn check(driver: Driver, parent: &str, expected: Option<(&str, &str)>) {
    let id = "ab".repeat(32);
    let found = place(driver, parent, &id).ok();
    let expected = expected.map(|(path, oci)| (path.replace("ID", &id), oci.replace("ID", &id)));
    let found = found.map(|placement| (placement.path.0, placement.oci_path));
    assert_eq!(found, expected, "{driver:?} {parent:?}");
}

#[test]
fn cgroupfs_places_directly_in_the_parent() {
    let plain = |path: &'static str| Some((path, path));
    for (parent, expected) in [
        ("", plain("/crio/crio-ID")),
        ("/", plain("/crio-ID")),
        ("/kubepods/burstable/podx", plain("/kubepods/burstable/podx/crio-ID")),
        ("kubepods//podx/", plain("/kubepods/podx/crio-ID")),
        ("/a.slice/b", plain("/a.slice/b/crio-ID")),
        ("/a.slice", None),
        ("/a/../b", None),
        ("..", None),
        ("/a/./b", None),
        ("/a\0b", None),
        ("/a\nb", None),
    ] {
        check(Driver::Cgroupfs, parent, expected);
    }
}

#[test]
fn systemd_expands_slices() {
    for (parent, expected) in [
        ("", Some(("/system.slice/crio-ID.scope", "system.slice:crio:ID"))),
        ("-.slice", Some(("/crio-ID.scope", "-.slice:crio:ID"))),
        (
            "kubepods-burstable-podx_y.slice",
            Some((
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx_y.slice/crio-ID.scope",
                "kubepods-burstable-podx_y.slice:crio:ID",
            )),
        ),
        (
            "/kubepods.slice/kubepods-podz.slice",
            Some(("/kubepods.slice/kubepods-podz.slice/crio-ID.scope", "kubepods-podz.slice:crio:ID")),
        ),
        ("/kubepods/podx", None),
        ("a--b.slice", None),
        ("-a.slice", None),
        ("a-.slice", None),
        (".slice", None),
        ("a b.slice", None),
        ("a.slice/..", None),
    ] {
        check(Driver::Systemd, parent, expected);
    }
}

#[test]
fn overlong_paths_are_refused() {
    for path in ["a".repeat(256), "a/".repeat(2000)] {
        assert!(matches!(CgroupPath::parse(&path), Err(NameError::BadPath { .. })));
    }
}

#[test]
fn a_path_knows_its_directory() {
    for (path, directory, name) in [("/", "/m", ""), ("/a/b", "/m/a/b", "b")] {
        let path = CgroupPath::parse(path).unwrap();
        assert_eq!(path.below(Path::new("/m")), Path::new(directory));
        assert_eq!(path.name(), name);
    }
}
