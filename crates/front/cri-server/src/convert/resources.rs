//! Limits. Zero and empty mean *not set*; −1 means unlimited where the kernel has such a value.

use crio_cri_api::v1;
use crio_types::{HugepageLimit, Labels, Resources};

use super::field::{DecodeError, between, non_empty, without_nul};

/// Limits a request asks for.
pub(crate) fn decode(field: &str, limits: v1::LinuxContainerResources) -> Result<Resources, DecodeError> {
    let at = |name: &str| format!("{field}.{name}");
    let from = |name: &str, value: i64, low: i64| between(&at(name), value, low, i64::MAX);
    Ok(Resources {
        cpu_period_us: from("cpu_period", limits.cpu_period, 0)?,
        cpu_quota_us: from("cpu_quota", limits.cpu_quota, -1)?,
        cpu_shares: from("cpu_shares", limits.cpu_shares, 0)?,
        memory_limit_bytes: from("memory_limit_in_bytes", limits.memory_limit_in_bytes, -1)?,
        memory_swap_limit_bytes: from("memory_swap_limit_in_bytes", limits.memory_swap_limit_in_bytes, -1)?,
        oom_score_adj: between(&at("oom_score_adj"), limits.oom_score_adj, -1000, 1000)?,
        cpuset_cpus: without_nul(&at("cpuset_cpus"), limits.cpuset_cpus)?,
        cpuset_mems: without_nul(&at("cpuset_mems"), limits.cpuset_mems)?,
        hugepage_limits: decode_hugepages(&at("hugepage_limits"), limits.hugepage_limits)?,
        unified: decode_unified(&at("unified"), limits.unified)?,
    })
}

fn decode_hugepages(field: &str, limits: Vec<v1::HugepageLimit>) -> Result<Vec<HugepageLimit>, DecodeError> {
    let decode = |(index, limit): (usize, v1::HugepageLimit)| {
        let page_size = non_empty(&format!("{field}[{index}].page_size"), limit.page_size)?;
        let limit_bytes = limit.limit;
        Ok(HugepageLimit { page_size, limit_bytes })
    };
    limits.into_iter().enumerate().map(decode).collect()
}

/// Files below the container's cgroup: a key is one file name, so that it cannot lead elsewhere.
fn decode_unified(field: &str, files: Labels) -> Result<Labels, DecodeError> {
    let plain = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && !name.starts_with('.')
    };
    match files.keys().find(|name| !plain(name)) {
        Some(name) => Err(DecodeError::new(field, format!("{name:?} is not the name of a cgroup file"))),
        None => Ok(files),
    }
}

/// Limits in force.
pub(crate) fn encode(limits: &Resources) -> v1::LinuxContainerResources {
    let hugepage =
        |limit: &HugepageLimit| v1::HugepageLimit { page_size: limit.page_size.clone(), limit: limit.limit_bytes };
    v1::LinuxContainerResources {
        cpu_period: limits.cpu_period_us,
        cpu_quota: limits.cpu_quota_us,
        cpu_shares: limits.cpu_shares,
        memory_limit_in_bytes: limits.memory_limit_bytes,
        oom_score_adj: limits.oom_score_adj,
        cpuset_cpus: limits.cpuset_cpus.clone(),
        cpuset_mems: limits.cpuset_mems.clone(),
        hugepage_limits: limits.hugepage_limits.iter().map(hugepage).collect(),
        unified: limits.unified.clone(),
        memory_swap_limit_in_bytes: limits.memory_swap_limit_bytes,
    }
}
