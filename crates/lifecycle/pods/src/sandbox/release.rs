//! Giving back what a pod holds: its pause container, network, namespaces, mounts, monitor and cgroup.
//!
//! Works from the record alone, so that a failed creation, a stop and a restarted daemon all take the same way. Every
//! step runs, whatever became of those before it; each accepts that its resource was never made or is gone.

use std::sync::Arc;

use crio_cgroups::CgroupPath;
use crio_network::namespaces;
use crio_runtime::{ConnectError, Monitor};

use crate::container::remove::{RuntimeState, release_container};
use crate::context::Context;
use crate::record::{Phase, PodDirectory, SandboxRecord};
use crate::sandbox::files;
use crate::{KILL_TIMEOUT, PodError};

/// Gives back everything. The failures of all steps come back; none means that the pod holds nothing any more.
///
/// `monitor` is the connection that is there already; without one the monitor is looked for in the pod's directory.
pub(crate) async fn release(
    context: &Context,
    record: &SandboxRecord,
    directory: &PodDirectory,
    monitor: Option<Arc<Monitor>>,
) -> Vec<PodError> {
    let mut failures = Vec::new();
    let monitor = match monitor.filter(|monitor| !monitor.is_dead()) {
        Some(monitor) => Some(monitor),
        None => find_monitor(record, directory, &mut failures).await,
    };
    failures.extend(release_containers(context, record, directory, monitor.as_deref()).await);
    failures.extend(release_network(context, record).await);
    failures.extend(files::release(directory).err());
    if let Some(monitor) = monitor {
        let ended = monitor.shutdown().await.map_err(PodError::step("ending the pod monitor", &record.id));
        failures.extend(ended.err());
    }
    failures.extend(remove_cgroups(context, record).await);
    failures
}

/// The monitor in the pod's directory. One that is there and does not answer is a failure: it may hold containers.
async fn find_monitor(
    record: &SandboxRecord,
    directory: &PodDirectory,
    failures: &mut Vec<PodError>,
) -> Option<Arc<Monitor>> {
    match Monitor::connect(directory.path()).await {
        Ok(monitor) => Some(Arc::new(monitor)),
        Err(ConnectError::Absent { .. }) => None,
        Err(error) => {
            failures.push(PodError::step("finding the pod monitor", &record.id)(error));
            None
        }
    }
}

/// Gives back the pause container and those that were never finished. The others are their own removal's, except that
/// nobody but us can have the runtime forget them when there is no monitor.
async fn release_containers(
    context: &Context,
    record: &SandboxRecord,
    directory: &PodDirectory,
    monitor: Option<&Monitor>,
) -> Vec<PodError> {
    let (containers, mut failures) = directory.read_containers();
    let handler = match context.handler_of(record) {
        Ok(handler) => handler,
        Err(error) => return vec![error],
    };
    let runtime = monitor.map_or(RuntimeState::Abandoned(&handler), RuntimeState::Monitored);
    for container in &containers {
        let is_infra = Some(&container.id) == record.infra.as_ref();
        if is_infra || container.phase == Phase::Making {
            let left = release_container(context, container, runtime).await;
            if left.is_empty() && !is_infra {
                failures.extend(directory.remove_container(&container.id).err());
            }
            failures.extend(left);
        } else if monitor.is_none() {
            failures.extend(runtime.delete(&container.id).await.err());
        }
    }
    failures
}

/// Leaves the network and unpins the namespaces, in this order: plugins need the namespace to undo their work in it.
async fn release_network(context: &Context, record: &SandboxRecord) -> Vec<PodError> {
    let mut failures = Vec::new();
    // What reads the pod's interfaces would keep its namespace alive.
    context.engines.stats.network_ends(&record.id);
    if let Some(network) = &record.network {
        let detached = context.engines.networks.detach(network).await;
        failures.extend(detached.map_err(PodError::step("leaving the network", &record.id)).err());
    }
    let unpinned = namespaces::unpin(&record.namespaces).await;
    failures.extend(unpinned.map_err(PodError::step("removing namespaces", &record.id)).err());
    failures
}

async fn remove_cgroups(context: &Context, record: &SandboxRecord) -> Vec<PodError> {
    let cgroups = Arc::clone(&context.engines.cgroups);
    let paths: Vec<String> = std::iter::once(&record.cgroup).chain(&record.monitor_cgroup).cloned().collect();
    let id = record.id.clone();
    let removed = context.blocking("removing cgroups", move || {
        let remove = |path: &String| {
            cgroups.remove(&cgroup_path(path)?, KILL_TIMEOUT).map_err(PodError::step("removing the cgroup", &id))
        };
        PodError::teardown(&id, paths.iter().filter_map(|path| remove(path).err()).collect())
    });
    removed.await.err().into_iter().collect()
}

/// The cgroup a record names.
pub(crate) fn cgroup_path(recorded: &str) -> Result<CgroupPath, PodError> {
    let path = CgroupPath::parse(recorded).map_err(PodError::step("reading the recorded cgroup", recorded))?;
    if path.is_root() {
        // Nothing of ours is ever there, and what is done to a recorded cgroup ends in killing all that is in it.
        let refused = std::io::Error::new(std::io::ErrorKind::InvalidData, "it is the root cgroup");
        return Err(PodError::file("reading the recorded cgroup", std::path::Path::new(recorded))(refused));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_cgroup_is_never_the_root() {
        for recorded in ["", "/", "//"] {
            assert!(cgroup_path(recorded).is_err(), "{recorded:?}");
        }
        assert_eq!(cgroup_path("/pod/crio-1").expect("a group").as_str(), "/pod/crio-1");
    }
}
