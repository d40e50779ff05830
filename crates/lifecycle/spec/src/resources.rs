//! Limits and device rules: from CRI's numbers, where zero is "not set", to the OCI's.
//!
//! Limits the host has no controller for are left out where a container runs fine without (swap, huge pages,
//! processes, cgroup v2 files), as CRI-O does; memory that cannot work is refused.

use std::collections::HashMap;

use crio_devices::HostDevice;
use crio_types::Resources;
use oci_spec::runtime::{
    LinuxCpu, LinuxDevice, LinuxDeviceCgroup, LinuxHugepageLimit, LinuxMemory, LinuxPids, LinuxResources,
};

use crate::{CgroupVersion, HostFacts, SpecError};

/// Everything a device rule can allow.
const ALL_ACCESS: &str = "rwm";

/// The limits of a container, as its specification and an update of it carry them. A `pids_limit` of zero or below sets
/// none.
///
/// # Errors
/// A number is out of range, or memory and swap contradict each other or the runtime.
pub fn limits(request: Option<&Resources>, pids_limit: i64, host: &HostFacts) -> Result<LinuxResources, SpecError> {
    let mut limits = LinuxResources::default();
    if pids_limit > 0 && host.has_pids {
        let mut pids = LinuxPids::default();
        pids.set_limit(pids_limit);
        limits.set_pids(Some(pids));
    }
    let Some(request) = request else { return Ok(limits) };
    limits.set_cpu(cpu(request)?).set_memory(memory(request, host)?);
    if host.has_hugetlb && !request.hugepage_limits.is_empty() {
        limits.set_hugepage_limits(Some(hugepages(request)?));
    }
    if host.cgroup_version == CgroupVersion::V2 && !request.unified.is_empty() {
        limits.set_unified(Some(unified(request)?));
    }
    Ok(limits)
}

/// The adjustment of the OOM killer's score, no lower than we may set it. A request without one gets zero: a
/// container never inherits the daemon's protection.
///
/// # Errors
/// The number is out of range.
pub fn oom_score_adj(request: Option<&Resources>, host: &HostFacts) -> Result<i32, SpecError> {
    let wanted = request.map_or(0, |resources| resources.oom_score_adj);
    match i32::try_from(wanted) {
        Ok(wanted) if (-1000..=1000).contains(&wanted) => Ok(wanted.max(host.minimum_oom_score_adj)),
        _ => Err(SpecError::OutOfRange { what: "oom_score_adj", value: wanted }),
    }
}

fn cpu(request: &Resources) -> Result<Option<LinuxCpu>, SpecError> {
    let mut cpu = LinuxCpu::default();
    if request.cpu_shares != 0 {
        cpu.set_shares(Some(positive("cpu_shares", request.cpu_shares)?));
    }
    if request.cpu_period_us != 0 {
        cpu.set_period(Some(positive("cpu_period", request.cpu_period_us)?));
    }
    if request.cpu_quota_us != 0 {
        cpu.set_quota(Some(request.cpu_quota_us));
    }
    if !request.cpuset_cpus.is_empty() {
        cpu.set_cpus(Some(request.cpuset_cpus.clone()));
    }
    if !request.cpuset_mems.is_empty() {
        cpu.set_mems(Some(request.cpuset_mems.clone()));
    }
    Ok((cpu != LinuxCpu::default()).then_some(cpu))
}

fn positive(what: &'static str, value: i64) -> Result<u64, SpecError> {
    u64::try_from(value).map_err(|_| SpecError::OutOfRange { what, value })
}

/// The swap limit counts memory and swap together; without one of its own a container gets no swap.
fn memory(request: &Resources, host: &HostFacts) -> Result<Option<LinuxMemory>, SpecError> {
    let (limit, with_swap) = (request.memory_limit_bytes, request.memory_swap_limit_bytes);
    if limit == 0 {
        return Ok(None);
    }
    let minimum_bytes = host.runtime.minimum_memory_bytes;
    if limit > 0 && limit < minimum_bytes {
        return Err(SpecError::MemoryTooLow { limit_bytes: limit, minimum_bytes });
    }
    if with_swap > 0 && with_swap < limit {
        return Err(SpecError::SwapBelowMemory { swap_bytes: with_swap, memory_bytes: limit });
    }
    let mut memory = LinuxMemory::default();
    memory.set_limit(Some(limit));
    if host.has_memory_swap {
        memory.set_swap(Some(if with_swap == 0 { limit } else { with_swap }));
    }
    Ok(Some(memory))
}

fn hugepages(request: &Resources) -> Result<Vec<LinuxHugepageLimit>, SpecError> {
    let limit = |asked: &crio_types::HugepageLimit| {
        let mut limit = LinuxHugepageLimit::default();
        let bytes = i64::try_from(asked.limit_bytes)
            .map_err(|_| SpecError::OutOfRange { what: "huge page limit", value: i64::MAX })?;
        limit.set_page_size(asked.page_size.clone()).set_limit(bytes);
        Ok(limit)
    };
    request.hugepage_limits.iter().map(limit).collect()
}

/// A key names one file of the container's own cgroup: no path, and nothing that moves processes or controllers.
fn unified(request: &Resources) -> Result<HashMap<String, String>, SpecError> {
    for key in request.unified.keys() {
        let controller = key.split('.').next().unwrap_or_default();
        if key.contains(['/', '\0']) || !key.contains('.') || controller.is_empty() || controller == "cgroup" {
            return Err(SpecError::Unified { key: key.clone() });
        }
    }
    Ok(request.unified.clone().into_iter().collect())
}

/// The device nodes, one for each path; the last one asked for wins.
pub(crate) fn device_nodes(devices: &[HostDevice]) -> Vec<LinuxDevice> {
    let mut nodes: Vec<LinuxDevice> = Vec::with_capacity(devices.len());
    let mut places = HashMap::new();
    for device in devices {
        let place = *places.entry(&device.path).or_insert(nodes.len());
        if place == nodes.len() {
            nodes.push(device.node());
        } else {
            nodes[place] = device.node();
        }
    }
    nodes
}

/// The device rules: everything denied, then each device allowed. A privileged container may use all.
pub(crate) fn device_rules(devices: &[HostDevice], privileged: bool) -> Vec<LinuxDeviceCgroup> {
    let mut rules = vec![rule_for_all(privileged)];
    if !privileged {
        rules.extend(devices.iter().map(HostDevice::rule));
    }
    rules
}

fn rule_for_all(allow: bool) -> LinuxDeviceCgroup {
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(allow).set_access(Some(ALL_ACCESS.to_owned()));
    rule
}

#[cfg(test)]
mod tests {
    use crio_types::HugepageLimit;

    use super::*;
    use crate::RuntimeFacts;

    fn host() -> HostFacts {
        HostFacts {
            cgroup_version: CgroupVersion::V2,
            has_hugetlb: true,
            has_memory_swap: true,
            has_pids: true,
            minimum_oom_score_adj: -1000,
            idmapped_mounts: true,
            runtime: RuntimeFacts {
                oci_version: "1.0.2".to_owned(),
                recursive_read_only: true,
                minimum_memory_bytes: 512 << 10,
            },
        }
    }

    const MIB: i64 = 1 << 20;

    #[test]
    fn memory_and_swap_follow_the_rule() {
        let cases = [
            (0, 0, Some((None, None))),
            (0, 64 * MIB, Some((None, None))),
            (64 * MIB, 0, Some((Some(64 * MIB), Some(64 * MIB)))),
            (64 * MIB, 96 * MIB, Some((Some(64 * MIB), Some(96 * MIB)))),
            (64 * MIB, -1, Some((Some(64 * MIB), Some(-1)))),
            (-1, 0, Some((Some(-1), Some(-1)))),
            (64 * MIB, 32 * MIB, None),
            (1024, 0, None),
        ];
        for (limit, swap, expected) in cases {
            let request =
                Resources { memory_limit_bytes: limit, memory_swap_limit_bytes: swap, ..Resources::default() };
            let found = limits(Some(&request), 0, &host()).ok().map(|limits| {
                let memory = limits.memory().unwrap_or_default();
                (memory.limit(), memory.swap())
            });
            assert_eq!(found, expected, "{limit} {swap}");
        }
    }

    #[test]
    fn a_host_without_a_controller_gets_no_limit_for_it() {
        let mut host = host();
        let request = Resources {
            memory_limit_bytes: 64 * MIB,
            hugepage_limits: vec![HugepageLimit { page_size: "2MB".to_owned(), limit_bytes: 4 << 20 }],
            unified: [("memory.high".to_owned(), "1000".to_owned())].into(),
            ..Resources::default()
        };
        let all = limits(Some(&request), 100, &host).expect("limits");
        assert!(all.pids().is_some() && all.hugepage_limits().is_some() && all.unified().is_some());
        host.cgroup_version = CgroupVersion::V1;
        (host.has_hugetlb, host.has_memory_swap, host.has_pids) = (false, false, false);
        let none = limits(Some(&request), 100, &host).expect("limits");
        assert!(none.pids().is_none() && none.hugepage_limits().is_none() && none.unified().is_none());
        assert_eq!(none.memory().expect("memory").swap(), None);
    }

    #[test]
    fn the_score_is_no_lower_than_we_may_set_it() {
        let mut host = host();
        host.minimum_oom_score_adj = 0;
        for (wanted, expected) in [(0, Some(0)), (-998, Some(0)), (999, Some(999)), (1001, None), (-1001, None)] {
            let request = Resources { oom_score_adj: wanted, ..Resources::default() };
            assert_eq!(oom_score_adj(Some(&request), &host).ok(), expected, "{wanted}");
        }
        assert_eq!(oom_score_adj(None, &host).expect("score"), 0);
    }

    #[test]
    fn unified_keys_are_files_of_the_cgroup() {
        let keys = ["memory.high", "../memory.high", "a/b.c", "cgroup.procs", "cgroup.kill", "memory", ".x", ""];
        for (key, accepted) in keys.into_iter().zip([true, false, false, false, false, false, false, false]) {
            let request = Resources { unified: [(key.to_owned(), "1".to_owned())].into(), ..Resources::default() };
            assert_eq!(limits(Some(&request), 0, &host()).is_ok(), accepted, "{key:?}");
        }
    }

    #[test]
    fn negative_shares_are_refused() {
        let request = Resources { cpu_shares: -1, ..Resources::default() };
        assert!(limits(Some(&request), 0, &host()).is_err());
    }
}
