//! UpdateContainerResources and ReopenContainerLog: changes to a container that goes on.

use std::sync::Arc;

use crio_cgroups::CgroupPath;
use crio_types::{ContainerState, HugepageLimit, Resources};
use oci_spec::runtime::LinuxResources;

use crate::container::{Container, specify};
use crate::context::Context;
use crate::sandbox::release::cgroup_path;
use crate::{Outcome, PodError};

/// What a group has before anybody sets its CFS period.
const KERNEL_CPU_PERIOD_US: i64 = 100_000;
/// What a group has before anybody sets its shares.
const KERNEL_CPU_SHARES: i64 = 1024;
/// The kernel's spelling of no limit, the same on v1 and v2 once it is rounded down to whole pages.
const NO_HUGEPAGE_LIMIT: u64 = 0x7fff_ffff_ffff_f000;

/// Changes the limits: all of them or none. What `update` leaves unset stays as it is. A repeated call joins, another change of
/// the same container waits for its turn.
pub(crate) async fn update_resources(
    context: &Arc<Context>,
    container: &Arc<Container>,
    update: Resources,
) -> Outcome<()> {
    let key = format!("{} {update:?}", container.id());
    let start = {
        let (context, container, update) = (Arc::clone(context), Arc::clone(container), update.clone());
        move || apply(context, container, update)
    };
    context.operations.updates.join(&key, update, start).await
}

async fn apply(context: Arc<Context>, container: Arc<Container>, update: Resources) -> Result<(), PodError> {
    let _turn = container.update_turn().await?;
    let state = container.state();
    if !matches!(state, ContainerState::Created | ContainerState::Running) {
        let id = container.id().to_string();
        return Err(PodError::WrongState { operation: "update", id, state });
    }
    let record = container.record();
    let wanted = record.resources.updated(&update);
    let change = Change::plan(&context, &container, wanted.clone(), &update)?;
    check_memory(&context, &container, &update, &record.cgroup)?;
    let Err(error) = change.make(&context, &container).await else {
        return container.change(|record| record.resources = wanted);
    };
    let before = previous(&record.resources, &update);
    let back = Change::plan(&context, &container, before, &update);
    let restored = match back {
        Ok(back) => back.make(&context, &container).await,
        Err(failure) => Err(failure),
    };
    match restored {
        Err(failure) if container.state() != ContainerState::Exited => {
            let of = format!("container {} whose limits could not be changed", container.id());
            Err(PodError::Teardown { of, failures: vec![error, failure] })
        }
        _ => Err(error),
    }
}

/// One change of limits, checked and translated.
struct Change {
    limits: LinuxResources,
    /// Absent when the update does not change it.
    oom_score_adj: Option<i32>,
    /// Those the update names.
    hugepages: Vec<HugepageLimit>,
    cgroup: CgroupPath,
}

impl Change {
    /// A change to `wanted`, which has all limits, by an update that names those to be changed.
    fn plan(context: &Context, container: &Container, wanted: Resources, update: &Resources) -> Result<Self, PodError> {
        let translating = || PodError::step("translating the limits", format!("container {}", container.id()));
        let host = specify::host_facts(context, container.sandbox());
        let mut limits = crio_spec::limits(Some(&wanted), 0, &host).map_err(translating())?;
        let score = crio_spec::oom_score_adj(Some(&wanted), &host).map_err(translating())?;
        // We write them ourselves, for every runtime alike.
        limits.set_hugepage_limits(None);
        let named = |limit: &HugepageLimit| update.hugepage_limits.iter().any(|new| new.page_size == limit.page_size);
        Ok(Self {
            limits,
            oom_score_adj: (update.oom_score_adj != 0).then_some(score),
            hugepages: wanted.hugepage_limits.into_iter().filter(named).collect(),
            cgroup: cgroup_path(&container.record().cgroup)?,
        })
    }

    /// Makes it. After an error some limits may be changed.
    async fn make(self, context: &Context, container: &Container) -> Result<(), PodError> {
        let of = format!("container {}", container.id());
        let monitor = container.sandbox().need_monitor()?;
        let updated = monitor.update(container.id(), &self.limits).await;
        updated.map_err(PodError::step("updating the limits", &of))?;
        if self.oom_score_adj.is_none() && self.hugepages.is_empty() {
            return Ok(());
        }
        let cgroups = Arc::clone(&context.engines.cgroups);
        let write = move || {
            if let Some(score) = self.oom_score_adj {
                let set = cgroups.set_oom_score_adj(&self.cgroup, score);
                set.map_err(PodError::step("setting the OOM score adjustment", &of))?;
            }
            let set = cgroups.set_hugepage_limits(&self.cgroup, &self.hugepages);
            set.map_err(PodError::step("limiting huge pages", &of))
        };
        context.blocking("UpdateContainerResources", write).await
    }
}

/// The limits to go back to after a failed update: those of before, and where there were none what the kernel begins with.
fn previous(before: &Resources, update: &Resources) -> Resources {
    let number = |old: i64, new: i64, none: i64| if old == 0 && new != 0 { none } else { old };
    let sizes = |limit: &HugepageLimit| before.hugepage_limits.iter().all(|old| old.page_size != limit.page_size);
    let unlimited =
        |limit: &HugepageLimit| HugepageLimit { page_size: limit.page_size.clone(), limit_bytes: NO_HUGEPAGE_LIMIT };
    let new_sizes = update.hugepage_limits.iter().filter(|limit| sizes(limit)).map(unlimited);
    Resources {
        cpu_period_us: number(before.cpu_period_us, update.cpu_period_us, KERNEL_CPU_PERIOD_US),
        cpu_quota_us: number(before.cpu_quota_us, update.cpu_quota_us, -1),
        cpu_shares: number(before.cpu_shares, update.cpu_shares, KERNEL_CPU_SHARES),
        memory_limit_bytes: number(before.memory_limit_bytes, update.memory_limit_bytes, -1),
        hugepage_limits: before.hugepage_limits.iter().cloned().chain(new_sizes).collect(),
        ..before.clone()
    }
}

/// A limit below what is in use would have the kernel kill something; kubelet tries again later.
fn check_memory(context: &Context, container: &Container, update: &Resources, cgroup: &str) -> Result<(), PodError> {
    let Ok(limit) = u64::try_from(update.memory_limit_bytes) else {
        return Ok(());
    };
    if limit == 0 {
        return Ok(());
    }
    let of = format!("container {}", container.id());
    let usage = context.engines.cgroups.memory_usage_bytes(&cgroup_path(cgroup)?);
    match usage.map_err(PodError::step("reading the memory in use", of))? {
        Some(in_use) if limit < in_use => {
            let reason = format!("{limit} bytes is below the {in_use} bytes in use");
            Err(PodError::InvalidConfig { field: "linux.memory_limit_in_bytes", reason })
        }
        _ => Ok(()),
    }
}

/// Opens the log anew. When this returns the file is there and no byte goes to the old one.
pub(crate) async fn reopen_log(container: &Container) -> Outcome<()> {
    if container.state() != ContainerState::Running {
        return Err(Arc::new(PodError::NotRunning { id: container.id().to_string() }));
    }
    let monitor = container.sandbox().need_monitor()?;
    let reopened = monitor.reopen_log(container.id()).await;
    Ok(reopened.map_err(PodError::step("reopening the log", format!("container {}", container.id())))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_update_goes_back_to_what_was_or_to_no_limit() {
        let huge = |size: &str, limit_bytes| HugepageLimit { page_size: size.to_owned(), limit_bytes };
        let before = Resources {
            cpu_shares: 512,
            hugepage_limits: vec![huge("2MB", 4 << 20)],
            oom_score_adj: 7,
            ..Resources::default()
        };
        let update = Resources {
            cpu_shares: 100,
            cpu_quota_us: 20_000,
            memory_limit_bytes: 64 << 20,
            hugepage_limits: vec![huge("2MB", 8 << 20), huge("1GB", 1 << 30)],
            ..Resources::default()
        };
        let back = previous(&before, &update);
        assert_eq!((back.cpu_shares, back.cpu_quota_us, back.cpu_period_us), (512, -1, 0));
        assert_eq!((back.memory_limit_bytes, back.oom_score_adj), (-1, 7));
        assert_eq!(back.hugepage_limits, [huge("2MB", 4 << 20), huge("1GB", NO_HUGEPAGE_LIMIT)]);
    }
}
