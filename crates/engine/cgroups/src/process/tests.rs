//! Members and their end.

use super::*;
use crate::testing::{Group, PATIENCE, legacy, unified};

#[test]
fn members_are_listed_once_over_all_hierarchies() {
    let cgroups = legacy();
    let group = Group::create(&cgroups, "members");
    assert_eq!(cgroups.processes(&group.path).unwrap(), []);
    let mut process = group.run(&cgroups, "echo; read x");
    process.wait_for_line();
    let members = cgroups.processes(&group.path).unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(u32::try_from(members[0].as_raw_nonzero().get()).unwrap(), process.0.id());
}

fn check_kill(cgroups: &Cgroups) {
    let group = Group::create(cgroups, "killed");
    let mut process = group
        .run(cgroups, "trap : TERM INT HUP; (while :; do (read x </dev/zero) & sleep 0.01; done) & echo; wait; wait");
    process.wait_for_line();
    assert!(!cgroups.processes(&group.path).unwrap().is_empty());
    cgroups.kill(&group.path, PATIENCE).unwrap();
    assert_eq!(cgroups.processes(&group.path).unwrap(), []);
    cgroups.remove(&group.path, PATIENCE).unwrap();
}

#[test]
fn a_forking_tree_dies_whole_on_v1() {
    check_kill(&legacy());
}

#[test]
fn a_forking_tree_dies_whole_on_v2() {
    check_kill(&unified().cgroups);
}

#[test]
fn killing_an_absent_group_is_done_already() {
    let cgroups = legacy();
    cgroups.kill(&CgroupPath::parse("/crio-rs-test-absent").unwrap(), PATIENCE).unwrap();
}

#[test]
fn foreign_and_broken_lines_are_passed_over() {
    let found: Vec<i32> = parse_processes("12\n0\nx\n-3\n\n7\n").map(|pid| pid.as_raw_nonzero().get()).collect();
    assert_eq!(found, [12, 7]);
}
