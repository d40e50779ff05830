//! After a start: what the last daemon left is taken over, or unwound when it was not finished.
//!
//! Pods and containers lived on meanwhile. Their records say what there is, their monitors say what became of it, and
//! exit records say it where the monitor is gone too. A record that cannot be read is reported and left alone: the
//! processes it names may be alive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crio_network::{Attachment, PodNetwork};
use crio_runtime::{ConnectError, ContainerEntry, Monitor, MonitorState};
use crio_types::{ContainerId, ContainerState, SandboxId, Timestamp};
use oci_spec::runtime::Spec;

use crate::container::checkpoint;
use crate::container::remove::{RuntimeState, release_container};
use crate::container::{Container, Exit, Kind, image_volume};
use crate::context::Context;
use crate::record::{ContainerRecord, Phase, PodDirectory, SandboxRecord, pods_dir};
use crate::sandbox::{Sandbox, files, release};
use crate::{OWNER, PodError, watch};

/// The exit code of a container whose end nobody saw.
const LOST: i32 = 255;

/// How often a monitor that is there is asked before it counts as lost.
const CONNECT_ATTEMPTS: u32 = 3;

/// Takes over what there is. Every failure comes back; none of them stops the others.
pub(crate) async fn recover(context: &Arc<Context>) -> Vec<PodError> {
    let mut failures = Vec::new();
    for directory in directories(context, &mut failures) {
        failures.extend(recover_pod(context, directory).await);
    }
    failures.extend(restore_network(context).await);
    failures.extend(remove_orphans(context).await.err());
    failures
}

fn directories(context: &Context, failures: &mut Vec<PodError>) -> Vec<PodDirectory> {
    let pods = pods_dir(&context.config.state_dir);
    let entries = match std::fs::read_dir(&pods) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            failures.push(PodError::file("listing", &pods)(error));
            return Vec::new();
        }
    };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<SandboxId>().ok());
    ids.map(|id| PodDirectory::new(&context.config.state_dir, &id)).collect()
}

async fn recover_pod(context: &Arc<Context>, directory: PodDirectory) -> Vec<PodError> {
    if !directory.has_sandbox() {
        // The record is the first thing made and goes when all else has gone, so this pod holds nothing.
        return directory.remove().err().into_iter().collect();
    }
    let record = match directory.read_sandbox() {
        Ok(record) => record,
        Err(error) => return vec![error],
    };
    match record.phase {
        Phase::Making => unwind(context, &record, &directory).await,
        Phase::Made => adopt(context, record, directory).await,
    }
}

/// Finishes what a daemon that was killed while making the pod could not.
async fn unwind(context: &Context, record: &SandboxRecord, directory: &PodDirectory) -> Vec<PodError> {
    let mut failures = release::release(context, record, directory, None).await;
    if failures.is_empty() {
        failures.extend(files::forget(directory, record).err());
    }
    failures
}

async fn adopt(context: &Arc<Context>, record: SandboxRecord, directory: PodDirectory) -> Vec<PodError> {
    let mut failures = Vec::new();
    // Its containers run whatever became of the configuration, so they must be seen and can be stopped.
    let handler = match context.handler_of(&record) {
        Ok(handler) => handler,
        Err(error) => return vec![error],
    };
    let monitor = if record.released { None } else { find_monitor(&record, &directory, &mut failures).await };
    let lost_monitor = monitor.is_none() && !record.released;
    let sandbox = Arc::new(Sandbox::new(record, directory.clone(), handler, monitor.clone()));
    let (records, unreadable) = directory.read_containers();
    failures.extend(unreadable);
    for record in records {
        match record.phase {
            Phase::Making => failures.extend(unwind_container(context, &sandbox, &record).await),
            Phase::Made => failures.extend(adopt_container(context, &sandbox, record).err()),
        }
    }
    if let Some(monitor) = &monitor {
        // Watching begins before the question, so that no end falls between the two.
        watch::begin(context, &sandbox, monitor);
        failures.extend(reconcile(context, &sandbox, monitor).await.err());
    }
    if lost_monitor {
        failures.extend(give_up(context, &sandbox).await);
    }
    context.index.insert_sandbox(&sandbox);
    context.watch_pod_usage(&sandbox);
    failures
}

/// The pod's monitor, asked more than once when it is there but busy: to take it for dead is to end the pod.
async fn find_monitor(
    record: &SandboxRecord,
    directory: &PodDirectory,
    failures: &mut Vec<PodError>,
) -> Option<Monitor> {
    for attempt in 1..=CONNECT_ATTEMPTS {
        match Monitor::connect(directory.path()).await {
            Ok(monitor) => return Some(monitor),
            Err(ConnectError::Absent { .. }) => return None,
            Err(error) if attempt == CONNECT_ATTEMPTS => {
                failures.push(PodError::step("finding the pod monitor", &record.id)(error));
            }
            Err(_busy) => {}
        }
    }
    None
}

async fn unwind_container(context: &Context, sandbox: &Sandbox, record: &ContainerRecord) -> Vec<PodError> {
    let monitor = sandbox.monitor();
    let mut failures = release_container(context, record, RuntimeState::of(sandbox, monitor.as_deref())).await;
    if failures.is_empty() {
        failures.extend(sandbox.directory().remove_container(&record.id).err());
    }
    failures
}

fn adopt_container(context: &Context, sandbox: &Arc<Sandbox>, record: ContainerRecord) -> Result<(), PodError> {
    let path = record.bundle.join("config.json");
    // Without its specification a container can still be seen, stopped and removed; only an exec needs it.
    let spec = Spec::load(&path);
    let process = spec.as_ref().ok().and_then(|spec| spec.process().clone()).unwrap_or_default();
    let kind = if sandbox.record().infra.as_ref() == Some(&record.id) { Kind::Infra } else { Kind::Workload };
    let thawed = if record.is_frozen { checkpoint::abandon(context, &record) } else { Ok(()) };
    let holds = image_volume::hold(context, &record);
    let container = Arc::new(Container::new(record, process, Arc::clone(sandbox), holds));
    if let Some(exit) = sandbox.admit(&container, kind) {
        watch::record_exit(context, &container, &exit);
    }
    if kind == Kind::Workload {
        context.index.insert_container(&container);
        context.watch_usage(&container);
    }
    thawed?;
    let unreadable = |error| PodError::file("reading", &path)(std::io::Error::other(error));
    spec.map(drop).map_err(|error| unreadable(crio_types::chain(&error)))
}

/// Compares the records with what the monitor knows.
pub(crate) async fn reconcile(context: &Context, sandbox: &Sandbox, monitor: &Monitor) -> Result<(), PodError> {
    let known = monitor.list().await.map_err(PodError::step("asking the pod monitor", sandbox.id()))?;
    let known: BTreeMap<ContainerId, ContainerEntry> =
        known.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
    for container in sandbox.all_containers() {
        match known.get(container.id()).map(|entry| entry.state) {
            Some(MonitorState::Running) => {
                let entry = &known[container.id()];
                if container.record().awaits_restore.is_some() {
                    container.restored(entry.pid, entry.start_time)?;
                }
                container.started(Timestamp::now())?;
            }
            Some(MonitorState::Exited(exit)) => watch::record_exit(context, &container, &Exit::from(exit)),
            Some(MonitorState::Creating | MonitorState::Created) => {}
            // The monitor learns of it when it is restored.
            None if container.record().awaits_restore.is_some() => {}
            None => settle(context, &container),
        }
    }
    Ok(())
}

/// What became of a container that no monitor knows: its exit record says, or nobody does.
fn settle(context: &Context, container: &Container) {
    if container.state() == ContainerState::Exited {
        return;
    }
    let recorded = crio_runtime::read_exit_record(container.sandbox().directory().path(), container.id());
    // A record that cannot be read tells as much as none.
    let exit = recorded.ok().flatten().map_or_else(
        || Exit {
            code: LOST,
            finished_at: Timestamp::now(),
            oom_killed: false,
            message: "the container ended while nobody watched; its exit code is not known".to_owned(),
        },
        |record| Exit::from(record.exit),
    );
    watch::record_exit(context, container, &exit);
}

/// A pod whose monitor is gone has no stdio left: what still runs is ended, and the pod takes nothing new.
async fn give_up(context: &Arc<Context>, sandbox: &Sandbox) -> Vec<PodError> {
    let mut failures = Vec::new();
    for container in sandbox.all_containers() {
        if container.state() != ContainerState::Exited {
            failures.extend(watch::kill_all(context, &container).await.err());
            settle(context, &container);
        }
    }
    failures.extend(sandbox.leave_ready().err());
    failures
}

/// Host ports of the living, nothing of the dead.
async fn restore_network(context: &Context) -> Vec<PodError> {
    let records: Vec<SandboxRecord> = context.index.sandboxes().iter().map(|sandbox| sandbox.record()).collect();
    let live = records.iter().filter(|record| !record.released);
    let pods: Vec<(PodNetwork, Attachment)> =
        live.filter_map(|record| Some((record.network.clone()?, record.attachment.clone()?))).collect();
    let restored = context.engines.networks.restore(&pods).await;
    restored.map_err(PodError::step("restoring the host ports", "all pods")).err().into_iter().collect()
}

/// Removes containers of ours that the storage knows and no record does: those of before a reboot. A record that could
/// not be read or unwound counts, too: its container may be running.
async fn remove_orphans(context: &Arc<Context>) -> Result<(), PodError> {
    let shared = Arc::clone(context);
    let remove = move || {
        let store = &shared.engines.store;
        let listed = store.containers().map_err(PodError::step("listing the storage's containers", "recovery"))?;
        let mut unlisted = Vec::new();
        let directories = directories(&shared, &mut unlisted);
        PodError::teardown("recovery", unlisted)?;
        let known: BTreeSet<ContainerId> = directories.iter().flat_map(PodDirectory::container_ids).collect();
        let orphans = listed.iter().filter(|container| is_ours(&container.metadata) && !known.contains(&container.id));
        let remove = |id: &ContainerId| store.delete_container(id).map_err(PodError::step("removing the root", id));
        PodError::teardown("recovery", orphans.filter_map(|orphan| remove(&orphan.id).err()).collect())
    };
    context.blocking("recovery", remove).await
}

fn is_ours(metadata: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(metadata).is_ok_and(|value| value["owner"] == OWNER)
}
