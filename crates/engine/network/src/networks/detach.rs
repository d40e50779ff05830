//! Undoing attachments: every step is tried, and every failure told.
//!
//! What to undo and how is in the record that `attach` wrote first. The record goes when nothing is left to undo.

use std::path::Path;

use crio_types::SandboxId;

use super::{DetachError, Networks, configuration_of};
use crate::PodNetwork;
use crate::cni::cache::{Entry, Found};
use crate::cni::plugin::PluginError;
use crate::cni::runtime::Facts;
use crate::host_ports::HostPortError;
use crate::namespaces::is_pinned;

impl Networks {
    /// Undoes [`Self::attach`], wholly or partly done, or never begun. May be repeated. A namespace that is gone is no
    /// obstacle, and every step is tried.
    ///
    /// # Errors
    /// Names every step that failed.
    pub async fn detach(&self, pod: &PodNetwork) -> Result<(), DetachError> {
        let mut failures = Vec::new();
        if let Err(error) = self.close_host_ports(&pod.sandbox_id).await {
            failures.push(crio_types::chain(&error));
        }
        match self.cache.find(pod.sandbox_id.as_str()).await {
            Ok(found) => {
                for found in found {
                    failures.extend(self.leave(pod, &found).await);
                }
            }
            Err(error) => failures.push(crio_types::chain(&error)),
        }
        DetachError::check(failures)
    }

    /// Detaches sandboxes that are recorded on the present network but are not `live`, and tells plugins that understand
    /// it (CNI 1.1) to release everything else. For the time after a start, when `live` is known to be complete.
    ///
    /// # Errors
    /// Names every step that failed.
    pub async fn collect_garbage(&self, live: &[SandboxId]) -> Result<(), DetachError> {
        let Ok(network) = self.loader.fresh().await else {
            return Ok(());
        };
        if network.configuration.disable_gc {
            return Ok(());
        }
        let mut failures = Vec::new();
        match self.cache.of_network(&network.configuration.name).await {
            Ok(entries) => {
                for entry in entries.iter().filter(|entry| is_stale(entry, live)) {
                    failures.extend(self.leave_recorded(entry).await);
                }
            }
            Err(error) => failures.push(crio_types::chain(&error)),
        }
        let valid: Vec<String> = live.iter().map(ToString::to_string).collect();
        let chain = self.chain_of(&network);
        failures.extend(texts(&chain.gc(&valid, self.config.del_timeout).await));
        DetachError::check(failures)
    }

    /// Undoes an attachment that failed; gives every failure.
    pub(super) async fn undo(&self, pod: &PodNetwork, entry: &Entry) -> Vec<String> {
        let mut failures = Vec::new();
        if let Err(error) = self.close_host_ports(&pod.sandbox_id).await {
            failures.push(crio_types::chain(&error));
        }
        failures.extend(self.leave_recorded(entry).await);
        failures
    }

    /// Leaves the network a file of the cache stands for; gives every failure.
    async fn leave(&self, pod: &PodNetwork, found: &Found) -> Vec<String> {
        if let Some(entry) = &found.entry {
            return self.leave_recorded(entry).await;
        }
        // The record is unreadable: the present configuration is the best guess there is.
        let Ok(network) = self.loader.fresh().await else {
            return vec![format!("the record {} is unreadable and there is no network", found.path.display())];
        };
        let Ok(mut facts) = Facts::new(pod, self.host_port_owner()) else {
            return self.forget(&found.path).await;
        };
        facts.netns = usable_namespace(&facts.netns);
        let failures = self.chain_of(&network).del(&facts, None, self.config.del_timeout).await;
        self.forget_unless(&failures, &found.path).await
    }

    /// Leaves a network by the configuration it was entered with, and forgets it if all went well.
    async fn leave_recorded(&self, entry: &Entry) -> Vec<String> {
        let path = self.cache.path_of(entry);
        let Some(configuration) = configuration_of(entry) else {
            return vec![format!("the record {} holds no usable configuration", path.display())];
        };
        let mut facts = entry.facts();
        facts.netns = usable_namespace(&facts.netns);
        let failures = self.chain(&configuration).del(&facts, entry.result.as_ref(), self.config.del_timeout).await;
        self.forget_unless(&failures, &path).await
    }

    async fn forget_unless(&self, failures: &[PluginError], path: &Path) -> Vec<String> {
        if failures.is_empty() { self.forget(path).await } else { texts(failures) }
    }

    async fn forget(&self, path: &Path) -> Vec<String> {
        self.cache.remove(path).await.err().iter().map(|error| crio_types::chain(error)).collect()
    }

    async fn close_host_ports(&self, id: &SandboxId) -> Result<(), HostPortError> {
        match &self.host_ports {
            Some(keeper) => keeper.remove(id).await,
            None => Ok(()),
        }
    }
}

/// The path to give a plugin that detaches: plugins take an empty one to mean that the namespace is gone, but stumble
/// over a file that is no namespace, such as a pin after a reboot.
fn usable_namespace(path: &str) -> String {
    if is_pinned(Path::new(path)) { path.to_owned() } else { String::new() }
}

/// Whether an entry is of a sandbox (containers of other programs have other ids) that does not live.
fn is_stale(entry: &Entry, live: &[SandboxId]) -> bool {
    entry.container_id.parse().is_ok_and(|id: SandboxId| !live.contains(&id))
}

fn texts(errors: &[PluginError]) -> Vec<String> {
    errors.iter().map(|error| crio_types::chain(error)).collect()
}
