//! One sandbox: the pod's group or the sum of its parts, its network and its containers.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use crio_types::{ContainerStats, NetworkStats, SandboxStats};

use super::container::Container;
use super::{Shared, lock};
use crate::SandboxSubject;
use crate::group::{Group, add};

#[derive(Debug)]
pub(super) struct Sandbox {
    subject: SandboxSubject,
    pod: Option<Mutex<Group>>,
    own: Mutex<Group>,
    network: Mutex<Option<(Instant, NetworkStats)>>,
}

impl Sandbox {
    pub(super) fn new(subject: SandboxSubject) -> Self {
        Self {
            pod: subject.pod_cgroup.clone().map(|path| Mutex::new(Group::new(path))),
            own: Mutex::new(Group::new(subject.sandbox_cgroup.clone())),
            network: Mutex::default(),
            subject,
        }
    }

    pub(super) fn close_network(&self) {
        if let Some(network) = &self.subject.network {
            network.close();
        }
    }

    /// The counters of its interfaces; within the collection period the last ones.
    pub(super) fn network(&self, shared: &Shared) -> Option<NetworkStats> {
        let counters = self.subject.network.as_ref()?;
        let mut last = lock(&self.network);
        if let Some((at, stats)) = &*last
            && shared.source.stands(*at)
        {
            return Some(stats.clone());
        }
        let stats = counters.read();
        *last =
            stats.clone().filter(|_| !shared.source.collection_period.is_zero()).map(|stats| (Instant::now(), stats));
        stats
    }

    pub(super) fn read(&self, members: &[Arc<Container>], shared: &Shared) -> SandboxStats {
        let containers: Vec<(ContainerStats, Option<u64>)> = members
            .iter()
            .filter(|member| !member.has_ended())
            .filter_map(|member| {
                let counters = member.counters(shared)?;
                Some((member.answer(counters, shared), counters.task_count))
            })
            .collect();
        let pod = self.pod.as_ref().and_then(|pod| lock(pod).read(&shared.source));
        let whole = pod.unwrap_or_else(|| {
            let own = lock(&self.own).read(&shared.source).unwrap_or_default();
            containers.iter().fold(own, |sum, (container, tasks)| add(sum, container, *tasks))
        });
        SandboxStats {
            id: self.subject.id.clone(),
            metadata: self.subject.metadata.clone(),
            labels: self.subject.labels.clone(),
            annotations: self.subject.annotations.clone(),
            cpu: whole.cpu,
            memory: whole.memory,
            io: whole.io,
            network: self.network(shared),
            process_count: whole.task_count,
            containers: containers.into_iter().map(|(container, _)| container).collect(),
        }
    }
}
