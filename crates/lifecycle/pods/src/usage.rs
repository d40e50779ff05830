//! Telling the statistics collector what there is to measure.

use std::path::Path;
use std::sync::Arc;

use crio_stats::{ContainerSubject, ReadNetwork, SandboxSubject, WritableLayer};
use crio_types::{NetworkStats, Timestamp};

use crate::container::Container;
use crate::context::Context;
use crate::record::SandboxRecord;
use crate::sandbox::Sandbox;
use crate::sandbox::release::cgroup_path;

impl Context {
    /// Has a container measured from now on. What cannot be measured is left out of the statistics.
    pub(crate) fn watch_usage(&self, container: &Container) {
        let record = container.record();
        let Ok(cgroup) = cgroup_path(&record.cgroup) else {
            return;
        };
        let storage = self.config.storage_root.join("overlay-containers").display().to_string();
        let diff = record.rootfs.parent().map(|layer| layer.join("diff"));
        self.engines.stats.add_container(ContainerSubject {
            id: record.id,
            sandbox_id: record.sandbox_id,
            metadata: record.config.metadata,
            labels: record.config.labels,
            annotations: record.config.annotations,
            cgroup,
            writable_layer: diff.map(|directory| WritableLayer { directory, mountpoint: storage }),
        });
    }

    /// Has a pod measured from now on.
    pub(crate) fn watch_pod_usage(&self, sandbox: &Sandbox) {
        let record = sandbox.record();
        let Ok(sandbox_cgroup) = cgroup_path(&record.cgroup) else {
            return;
        };
        let network = network_reader(&record);
        self.engines.stats.add_sandbox(SandboxSubject {
            id: record.id,
            metadata: record.config.metadata,
            labels: record.config.labels,
            annotations: record.config.annotations,
            pod_cgroup: self.engines.cgroups.pod_cgroup(&record.config.cgroup_parent).ok().flatten(),
            sandbox_cgroup,
            network,
        });
    }
}

/// Reads the pod's interfaces; none for a pod on the host's network.
fn network_reader(record: &SandboxRecord) -> Option<ReadNetwork> {
    let netns = record.namespaces.net.clone()?;
    let primary = record.attachment.as_ref().map(|attachment| attachment.interface.clone()).unwrap_or_default();
    Some(Arc::new(move || read_network(&netns, &primary)))
}

fn read_network(netns: &Path, primary: &str) -> Option<NetworkStats> {
    let all = crio_network::interface_stats(netns).ok()?;
    let (mut default, interfaces): (Vec<_>, Vec<_>) = all.into_iter().partition(|interface| interface.name == primary);
    Some(NetworkStats { timestamp: Timestamp::now(), default_interface: default.pop(), interfaces })
}
