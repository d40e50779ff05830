//! Memory figures of a real group, one of which the kernel kills a process in.

use super::*;
use crate::testing::{Group, legacy, write};

#[test]
fn limit_usage_and_an_out_of_memory_kill() {
    let cgroups = legacy();
    let group = Group::create(&cgroups, "memory");
    let directory = cgroups.memory_directory(&group.path).expect("memory is accounted here");
    assert_eq!(cgroups.memory_limit_bytes(&group.path).unwrap(), None);
    write(&directory, "memory.limit_in_bytes", "8388608");
    assert_eq!(cgroups.memory_limit_bytes(&group.path).unwrap(), Some(8 << 20));
    assert_eq!(cgroups.oom_kills(&group.path).unwrap(), Some(0));
    let mut hog = group.run(&cgroups, "x=0123456789abcdef; while :; do x=$x$x; done");
    assert!(!hog.0.wait().unwrap().success());
    assert_eq!(cgroups.oom_kills(&group.path).unwrap(), Some(1));
    assert!(cgroups.memory_usage_bytes(&group.path).unwrap().is_some());
}

#[test]
fn an_absent_group_has_no_figures() {
    let cgroups = legacy();
    let path = CgroupPath::parse("/crio-rs-test-absent").unwrap();
    assert_eq!(cgroups.memory_usage_bytes(&path).unwrap(), None);
    assert_eq!(cgroups.memory_limit_bytes(&path).unwrap(), None);
    assert_eq!(cgroups.oom_kills(&path).unwrap(), None);
}
