//! The parts of a node that need no daemon.

use super::*;

#[test]
fn names_are_short_and_the_configuration_is_complete() {
    let directory = tempfile::Builder::new().prefix("ct-").rand_bytes(6).tempdir_in("/tmp").unwrap();
    let names = config::Names::of(directory.path(), &Options::default()).unwrap();
    assert!(names.bridge.len() <= 15, "{}", names.bridge);
    let options = Options { insecure_registries: vec!["127.0.0.1:5000".to_owned()], ..Options::default() };
    config::write(directory.path(), &names, &options).unwrap();
    let text = fs::read_to_string(directory.path().join("crio.conf")).unwrap();
    assert!(text.contains("[crio.runtime.runtimes.crun]"), "{text}");
    let registries = fs::read_to_string(directory.path().join("registries.conf")).unwrap();
    assert!(registries.contains("insecure = true"), "{registries}");
    serde_json::from_slice::<serde_json::Value>(&fs::read(directory.path().join("cni/10-test.conflist")).unwrap())
        .unwrap();
}

#[test]
fn groups_are_named_as_their_manager_names_them() {
    let options = |manager| Options { cgroup_manager: Some(manager), ..Options::default() };
    let names = |manager| config::Names::of(Path::new("/tmp/ct-aB3"), &options(manager)).unwrap();
    let cases = [
        (CgroupManager::Cgroupfs, "/ct-aB3", "/ct-aB3/pod", "/ct-aB3/pod/crio-1"),
        (
            CgroupManager::Systemd,
            "/ct.slice/ct-aB3.slice",
            "ct-aB3-pod.slice",
            "/ct.slice/ct-aB3.slice/ct-aB3-pod.slice/crio-1.scope",
        ),
    ];
    for (manager, all, parent, container) in cases {
        let names = names(manager);
        assert_eq!(names.cgroup_parent, all);
        assert_eq!(names.pod_parent("pod"), parent);
        assert_eq!(names.container_cgroup("pod", "1"), container);
    }
}

#[test]
fn the_held_namespace_is_shared_inside_and_private_outside() {
    let mut holder = place::hold_namespace().unwrap();
    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", holder.id())).unwrap();
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    assert!(root.contains("shared:"), "{root}");
    assert!(!mounts.contains("master:"), "{mounts}");
    holder.kill().unwrap();
    holder.wait().unwrap();
}
