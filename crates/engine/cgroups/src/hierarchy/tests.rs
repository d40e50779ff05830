//! Mount tables of the three layouts, and what is mounted on this very machine.

use super::*;

const HYBRID: &str = "\
23 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:10 master:2 - cgroup cgroup rw,memory
38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";

#[test]
fn a_mount_table_names_hierarchies_and_controllers() {
    let mounts = parse_mounts(HYBRID);
    let seen: Vec<(&str, bool, Vec<Controller>)> = mounts
        .iter()
        .map(|mount| {
            let controllers = mount.controllers.iter().copied().collect();
            (mount.mount_point.to_str().unwrap(), mount.unified, controllers)
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("/sys/fs/cgroup/cpu,cpuacct", false, vec![Controller::Cpu, Controller::Cpuacct]),
            ("/sys/fs/cgroup/memory", false, vec![Controller::Memory]),
            ("/sys/fs/cgroup/blkio", false, vec![Controller::Io]),
            ("/sys/fs/cgroup/systemd", false, vec![]),
            ("/sys/fs/cgroup/uni fied", true, vec![]),
        ]
    );
    assert_eq!(mounts[1].device, (0, 32));
}

#[test]
fn nonsense_lines_are_passed_over() {
    for line in ["", "x", "1 2 3", "1 2 0:1 / /a rw", "1 2 0:x / /a rw - cgroup2 c rw", "1 2 0:1 - cgroup2"] {
        assert!(parse_mount(line).is_none(), "{line:?}");
    }
}

#[test]
fn a_place_without_hierarchies_is_refused() {
    let empty = tempfile::tempdir().expect("a directory");
    assert!(matches!(Hierarchies::detect(empty.path()), Err(DetectError::NoHierarchy { .. })));
}

#[test]
fn this_machine_has_hierarchies_each_once() {
    let found = Hierarchies::detect(Path::new(crate::DEFAULT_ROOT)).expect("this machine has control groups");
    let mut devices: Vec<_> = found.mounts().iter().map(|mount| mount.device).collect();
    devices.sort_unstable();
    devices.dedup();
    assert_eq!(devices.len(), found.mounts().len());
    assert!(found.controllers().contains(&Controller::Cpuacct));
}
