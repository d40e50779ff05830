//! Each kind of leak, made on purpose.

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};

use crio_cgroups::{CgroupPath, Cgroups, Config, Driver};

use super::*;
use crate::run;

#[test]
fn each_kind_of_leak_is_seen() {
    let directory = tempfile::Builder::new().prefix("ct-").rand_bytes(6).tempdir_in("/tmp").unwrap();
    let name = directory.path().file_name().unwrap().to_str().unwrap().to_owned();
    let scope = Scope {
        directory: directory.path().to_owned(),
        cgroup_parent: format!("/{name}"),
        bridge: name.clone(),
        network_markers: vec![name.clone()],
        namespace_pid: std::process::id(),
    };
    let before = Snapshot::take(&scope).unwrap();
    assert!(before.leaks(&before, &scope).is_empty());

    let config = Config { driver: Driver::Cgroupfs, root: None };
    let cgroups = Cgroups::detect(&config).unwrap();
    let group = CgroupPath::parse(&format!("/{name}/crio-x")).unwrap();
    cgroups.create(&group).unwrap();
    fs::create_dir_all(directory.path().join("run/x")).unwrap();
    fs::create_dir_all(directory.path().join("ipam/net")).unwrap();
    fs::write(directory.path().join("run/x/file"), "").unwrap();
    fs::write(directory.path().join("ipam/net/10.0.0.2"), "").unwrap();
    fs::write(directory.path().join("ipam/net/lock"), "").unwrap();
    fs::create_dir_all(directory.path().join("root/overlay-containers/x")).unwrap();
    run::text("ip", &["link", "add", &name, "type", "bridge"]).unwrap();
    run::text("nft", &["add", "table", "inet", &name]).unwrap();
    let mut process = Command::new("sh")
        .args(["-c", "echo; read x", &directory.path().to_string_lossy()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    // A program that is only being started has no command line yet.
    process.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    let after = Snapshot::take(&scope).unwrap();
    let leaks = before.leaks(&after, &scope);
    process.kill().unwrap();
    process.wait().unwrap();
    run::text("nft", &["delete", "table", "inet", &name]).unwrap();
    run::text("ip", &["link", "delete", &name]).unwrap();
    cgroups.remove(&CgroupPath::parse(&format!("/{name}")).unwrap(), std::time::Duration::from_secs(5)).unwrap();

    for kind in [Kind::Process, Kind::Cgroup, Kind::File, Kind::Address, Kind::Layer, Kind::Firewall] {
        assert!(!leaks.of(kind).is_empty(), "{kind:?} is not seen in\n{leaks}");
    }
    assert_eq!(leaks.of(Kind::Address).len(), 1, "{leaks}");
    assert!(leaks.of(Kind::Link).is_empty(), "the node's own bridge is expected: {leaks}");
}

#[test]
fn a_footprint_is_read() {
    let footprint = Footprint::of(std::process::id()).unwrap();
    assert!(footprint.descriptors > 2 && footprint.threads > 0 && footprint.resident_bytes > 0, "{footprint:?}");
}
