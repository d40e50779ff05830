//! Making and removing groups on the host's hierarchies and on a mounted v2.

use super::*;
use crate::testing::{Group, PATIENCE, legacy, unified};

fn check_create_and_remove(cgroups: &Cgroups) {
    let group = Group::create(cgroups, "made");
    let path = group.path.child("a").child("b");
    cgroups.create(&path).unwrap();
    cgroups.create(&path).expect("making it again changes nothing");
    for directory in cgroups.directories(&path) {
        assert!(directory.is_dir(), "{}", directory.display());
    }
    assert_eq!(cgroups.children(&group.path), [group.path.child("a")]);
    cgroups.remove(&group.path, PATIENCE).unwrap();
    assert!(!cgroups.exists(&group.path));
    cgroups.remove(&group.path, PATIENCE).expect("removing it again changes nothing");
}

#[test]
fn groups_come_and_go_in_every_hierarchy() {
    check_create_and_remove(&legacy());
    check_create_and_remove(&unified().cgroups);
}

#[test]
fn a_new_v1_group_can_hold_a_process_at_once() {
    let cgroups = legacy();
    let group = Group::create(&cgroups, "held");
    let inner = group.inside("inner");
    let mut process = inner.run(&cgroups, "echo; read x");
    process.wait_for_line();
    let members = cgroups.processes(&group.path).unwrap();
    assert_eq!(members.len(), 1);
}

#[test]
fn controllers_are_switched_on_for_groups_that_need_them() {
    let unified = unified();
    let group = Group::create(&unified.cgroups, "controllers");
    let directory = unified.cgroups.directories(&group.path).remove(0);
    let read = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap();
    unified.cgroups.create_undelegated(&group.path.child("plain")).unwrap();
    assert_eq!(read("cgroup.subtree_control").trim(), "");
    unified.cgroups.create(&group.path.child("limited")).unwrap();
    let (available, enabled) = (read("cgroup.controllers"), read("cgroup.subtree_control"));
    let wanted: Vec<&str> = available.split_whitespace().filter(|name| DELEGATED.contains(name)).collect();
    assert_eq!(enabled.split_whitespace().collect::<Vec<_>>(), wanted);
}

#[test]
fn a_busy_group_stays_until_its_deadline_and_goes_when_it_is_empty() {
    let cgroups = legacy();
    let group = Group::create(&cgroups, "busy");
    let mut process = group.run(&cgroups, "echo; read x");
    process.wait_for_line();
    let refused = cgroups.remove(&group.path, Duration::from_millis(30)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DeadlineExceeded);
    assert!(refused.to_string().contains("busy"), "{refused}");

    drop(process.0.stdin.take());
    cgroups.remove(&group.path, PATIENCE).expect("it waits for the process to end");
}

#[test]
fn the_root_is_never_removed() {
    let cgroups = legacy();
    assert!(cgroups.remove(&CgroupPath::parse("/").unwrap(), PATIENCE).is_err());
}

#[test]
fn a_failed_creation_leaves_nothing() {
    let cgroups = legacy();
    let group = Group::create(&cgroups, "rolled-back");
    // A file of the group is in the way of a directory in one hierarchy only, the last ones are not reached.
    let in_the_way = group.path.child("cpuset.cpus").child("x");
    assert!(cgroups.create(&in_the_way).is_err());
    assert_eq!(cgroups.children(&group.path), []);
}
