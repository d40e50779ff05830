//! From quantities of a manifest to the kernel's knobs, by kubelet's arithmetic.

use crio_cri_api::v1;

use super::super::manifest::Resources;

/// The period of CPU quotas, in microseconds.
const CPU_PERIOD_US: i64 = 100_000;
/// The smallest quota the kernel takes, in microseconds.
const MIN_CPU_QUOTA_US: i64 = 1_000;
/// The range of CPU shares.
const CPU_SHARES: std::ops::RangeInclusive<i64> = 2..=262_144;

/// Limits as kubelet computes them; a request that is not made is the limit.
pub fn of(resources: &Resources, node_memory_bytes: i64) -> v1::LinuxContainerResources {
    let cpu_request = resources.cpu_request_milli.or(resources.cpu_limit_milli).unwrap_or(0);
    let quota = |milli: i64| milli.saturating_mul(CPU_PERIOD_US) / 1000;
    v1::LinuxContainerResources {
        cpu_shares: (cpu_request.saturating_mul(1024) / 1000).clamp(*CPU_SHARES.start(), *CPU_SHARES.end()),
        cpu_period: CPU_PERIOD_US,
        cpu_quota: resources.cpu_limit_milli.map_or(0, |milli| quota(milli).max(MIN_CPU_QUOTA_US)),
        memory_limit_in_bytes: resources.memory_limit_bytes.unwrap_or(0),
        oom_score_adj: oom_score_adjustment(resources, node_memory_bytes),
        ..v1::LinuxContainerResources::default()
    }
}

/// The kernel kills best-effort containers first and guaranteed ones last; between them, who asked for little first.
fn oom_score_adjustment(resources: &Resources, node_memory_bytes: i64) -> i64 {
    const GUARANTEED: i64 = -997;
    const BEST_EFFORT: i64 = 1000;
    let request = resources.memory_request_bytes.or(resources.memory_limit_bytes);
    let limits_are_requests = resources.cpu_limit_milli.is_some()
        && resources.memory_limit_bytes.is_some()
        && request == resources.memory_limit_bytes
        && resources.cpu_request_milli.or(resources.cpu_limit_milli) == resources.cpu_limit_milli;
    if limits_are_requests {
        return GUARANTEED;
    }
    if *resources == Resources::default() {
        return BEST_EFFORT;
    }
    let share = request.unwrap_or(0).saturating_mul(1000) / node_memory_bytes.max(1);
    (1000 - share).clamp(3, 999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_become_shares_quotas_and_scores() {
        let cases = [
            (Resources::default(), (2, 0, 0, 1000)),
            (
                Resources { cpu_limit_milli: Some(500), memory_limit_bytes: Some(1 << 29), ..Resources::default() },
                (512, 50_000, 1 << 29, -997),
            ),
            (Resources { cpu_limit_milli: Some(1), ..Resources::default() }, (2, 1_000, 0, 999)),
            (
                Resources { memory_request_bytes: Some(1 << 29), cpu_request_milli: Some(250), ..Resources::default() },
                (256, 0, 0, 500),
            ),
        ];
        for (wanted, expected) in cases {
            let found = of(&wanted, 1 << 30);
            let found = (found.cpu_shares, found.cpu_quota, found.memory_limit_in_bytes, found.oom_score_adj);
            assert_eq!(found, expected, "{wanted:?}");
        }
    }
}
