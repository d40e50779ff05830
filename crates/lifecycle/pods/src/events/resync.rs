//! What a subscriber that missed events is told instead.
//!
//! Kubelet replaces what it knows of a pod by what an event carries, starts its own work from events of starts and ends, and
//! forgets a pod at the deletion of its sandbox. So the state of a pod can be told in events, and told twice does no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crio_types::{ContainerId, ContainerState, EventKind, SandboxId, SandboxState, SandboxStatus, Timestamp};

use super::{ContainerEvent, PodState};

/// What a subscriber knows of a sandbox.
#[derive(Debug, Clone)]
pub(super) struct Known {
    sandbox: Arc<SandboxStatus>,
    containers: BTreeSet<ContainerId>,
}

impl Known {
    pub(super) fn of(pod: &PodState) -> (SandboxId, Self) {
        let containers = pod.containers.iter().map(|container| container.id.clone()).collect();
        (pod.sandbox.id.clone(), Self { sandbox: Arc::clone(&pod.sandbox), containers })
    }

    /// Takes in what an event tells.
    pub(super) fn note(known: &mut BTreeMap<SandboxId, Self>, event: &ContainerEvent) {
        let id = &event.sandbox.id;
        if event.kind == EventKind::Deleted && event.container_id == id.as_str() {
            known.remove(id);
            return;
        }
        let own = event.containers.iter().filter(|container| container.sandbox_id == *id);
        let containers = own.map(|container| container.id.clone()).collect();
        known.insert(id.clone(), Self { sandbox: Arc::clone(&event.sandbox), containers });
    }
}

/// The events that lead from what is known to what there is. Each gets a time from `time`.
pub(super) fn events(
    known: &BTreeMap<SandboxId, Known>,
    now: &[PodState],
    time: &mut impl FnMut() -> Timestamp,
) -> Vec<ContainerEvent> {
    let mut events = Vec::new();
    let present: BTreeSet<&SandboxId> = now.iter().map(|pod| &pod.sandbox.id).collect();
    for (_, gone) in known.iter().filter(|(id, _)| !present.contains(id)) {
        let pod = PodState { sandbox: Arc::clone(&gone.sandbox), containers: Vec::new() };
        let mut deleted = |id: &str| events.push(event(&pod, &[], id, EventKind::Deleted, time()));
        gone.containers.iter().for_each(|container| deleted(container.as_str()));
        deleted(pod.sandbox.id.as_str());
    }
    for pod in now {
        let mut tell = |id: &str, kind| events.push(event(pod, now, id, kind, time()));
        let sandbox = pod.sandbox.id.as_str();
        if pod.sandbox.state == SandboxState::Ready {
            tell(sandbox, EventKind::Started);
        }
        let before = known.get(&pod.sandbox.id).map(|known| &known.containers);
        let present = |id: &ContainerId| pod.containers.iter().any(|container| container.id == *id);
        let gone = before.into_iter().flatten().filter(|id| !present(id));
        gone.for_each(|id| tell(id.as_str(), EventKind::Deleted));
        pod.containers.iter().for_each(|container| tell(container.id.as_str(), kind_of(container.state)));
        if pod.sandbox.state == SandboxState::NotReady {
            tell(sandbox, EventKind::Stopped);
        }
    }
    events
}

/// The event that leads to a state.
fn kind_of(state: ContainerState) -> EventKind {
    match state {
        ContainerState::Created => EventKind::Created,
        ContainerState::Running => EventKind::Started,
        ContainerState::Exited | ContainerState::Unknown => EventKind::Stopped,
    }
}

fn event(pod: &PodState, all: &[PodState], id: &str, kind: EventKind, created_at: Timestamp) -> ContainerEvent {
    let uid = &pod.sandbox.metadata.uid;
    let of_pod = all.iter().filter(|other| other.sandbox.metadata.uid == *uid);
    ContainerEvent {
        container_id: id.to_owned(),
        kind,
        created_at,
        sandbox: Arc::clone(&pod.sandbox),
        containers: of_pod.flat_map(|pod| pod.containers.iter().cloned()).collect(),
    }
}
