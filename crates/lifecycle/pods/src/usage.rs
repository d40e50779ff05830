//! Telling the statistics collector what there is to measure.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crio_network::{InterfaceReader, StatsError};
use crio_stats::{ContainerSubject, NetworkCounters, SandboxSubject, WritableLayer};
use crio_types::{ContainerState, InterfaceStats, NetworkStats, Timestamp};

use crate::container::Container;
use crate::context::Context;
use crate::operation::lock;
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
        let (id, has_ended) = (record.id.clone(), record.state == ContainerState::Exited);
        self.engines.stats.add_container(ContainerSubject {
            id: record.id,
            sandbox_id: record.sandbox_id,
            metadata: record.config.metadata,
            labels: record.config.labels,
            annotations: record.config.annotations,
            cgroup,
            writable_layer: diff.map(|directory| WritableLayer { directory, mountpoint: storage }),
        });
        if has_ended {
            self.engines.stats.container_ended(&id);
        }
    }

    /// Has a pod measured from now on; one that has given back what it held uses nothing.
    pub(crate) fn watch_pod_usage(&self, sandbox: &Sandbox) {
        let record = sandbox.record();
        if record.released {
            return;
        }
        let Ok(sandbox_cgroup) = cgroup_path(&record.cgroup) else {
            return;
        };
        let network = network(&record);
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

/// The counters of the pod's interfaces; none for a pod on the host's network.
fn network(record: &SandboxRecord) -> Option<Arc<dyn NetworkCounters>> {
    let netns = record.namespaces.net.clone()?;
    let primary = record.attachment.as_ref().map(|attachment| attachment.interface.clone()).unwrap_or_default();
    Some(Arc::new(PodNetworkCounters { netns, primary, reader: Mutex::new(Some(None)) }))
}

/// Reads a pod's interfaces through a socket that the first reading opens inside the pod's namespace.
#[derive(Debug)]
struct PodNetworkCounters {
    netns: PathBuf,
    /// The interface that the network plugins made; others can come from elsewhere.
    primary: String,
    /// `None` once it is closed for good.
    reader: Mutex<Option<Option<InterfaceReader>>>,
}

impl NetworkCounters for PodNetworkCounters {
    fn read(&self) -> Option<NetworkStats> {
        let mut reader = lock(&self.reader);
        let place = reader.as_mut()?;
        let mut open = match place.take() {
            Some(open) => open,
            None => self.known(InterfaceReader::open(&self.netns))?,
        };
        let interfaces = self.known(open.read())?;
        let stats = choose(interfaces, &self.primary, open.default_route());
        *place = Some(open);
        Some(stats)
    }

    fn close(&self) {
        *lock(&self.reader) = None;
    }
}

impl PodNetworkCounters {
    /// A pod whose network cannot be read must not spoil a list, so the reason goes to the log.
    fn known<T>(&self, result: Result<T, StatsError>) -> Option<T> {
        let failed = |error: &StatsError| {
            tracing::debug!(netns = %self.netns.display(), error = crio_types::chain(error), "interfaces not read");
        };
        result.inspect_err(failed).ok()
    }
}

/// The default interface is the network plugins' own, else the one the default route leads through, else the first.
fn choose(mut interfaces: Vec<InterfaceStats>, primary: &str, default_route: Option<&str>) -> NetworkStats {
    let place = |name: &str| interfaces.iter().position(|interface| interface.name == name);
    let chosen = place(primary).or_else(|| place(default_route?)).unwrap_or(0);
    let default_interface = (chosen < interfaces.len()).then(|| interfaces.remove(chosen));
    NetworkStats { timestamp: Timestamp::now(), default_interface, interfaces }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_interface_is_the_plugins_own_or_that_of_the_default_route() {
        let named = |name: &&str| InterfaceStats { name: (*name).to_owned(), ..InterfaceStats::default() };
        for (names, primary, route, expected) in [
            (&["net1", "eth0"][..], "eth0", Some("net1"), Some("eth0")),
            (&["net1", "net2"], "eth0", Some("net2"), Some("net2")),
            (&["net1", "net2"], "", None, Some("net1")),
            (&["net1"], "eth0", Some("gone"), Some("net1")),
            (&["eth0"], "eth0", None, Some("eth0")),
            (&[], "eth0", Some("eth0"), None),
        ] {
            let stats = choose(names.iter().map(named).collect(), primary, route);
            assert_eq!(stats.default_interface.map(|interface| interface.name).as_deref(), expected, "{names:?}");
            assert_eq!(stats.interfaces.len(), names.len().saturating_sub(1), "{names:?}");
        }
    }

    #[test]
    fn a_closed_reader_opens_nothing_again() {
        let netns = PathBuf::from("/proc/self/ns/net");
        let counters = PodNetworkCounters { netns, primary: String::new(), reader: Mutex::new(Some(None)) };
        assert!(counters.read().is_some() && counters.read().is_some());
        counters.close();
        assert_eq!(counters.read(), None);
    }
}
