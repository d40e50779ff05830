//! The node's networks: attaching pods, detaching them, and knowing whether that is possible.
//!
//! An attachment is recorded before the first plugin runs and forgotten after the last one undid its part, so whatever
//! happens in between, `detach` finds what to undo and how. One caller at a time may work on one pod; different pods
//! do not wait for each other here.

use std::os::fd::AsFd;
use std::path::Path;

use crio_sys::namespace::{self, NamespaceKind};
use tokio::time::Instant;

use crate::cni::INTERFACE;
use crate::cni::cache::{Cache, Entry};
use crate::cni::chain::Chain;
use crate::cni::configuration::NetworkConfiguration;
use crate::cni::directory::Network;
use crate::cni::plugin::{PluginError, Verb};
use crate::cni::result;
use crate::cni::runtime::{Facts, HostPortOwner};
use crate::host_ports::HostPortError;
use crate::host_ports::keeper::Keeper;
use crate::namespaces::joined;
use crate::{Attachment, PodNetwork, host_ports};

mod config;
mod detach;
mod error;
mod loader;

pub use config::Config;
pub use error::{AttachCause, AttachError, CheckError, DetachError, NotReady, StartError};

use loader::Loader;

/// The node's networks. Owns the tasks that watch the configuration and keep the host ports; they end with it.
#[derive(Debug)]
pub struct Networks {
    config: Config,
    loader: Loader,
    cache: Cache,
    /// `None` when host ports are left to plugins.
    host_ports: Option<Keeper>,
}

impl Networks {
    /// Reads the configuration and starts watching it. Must be called inside a tokio runtime. Call [`Self::restore`]
    /// before the first [`Self::attach`].
    ///
    /// # Errors
    /// A directory cannot be made, or a setting is impossible. A missing or broken configuration is no error, only
    /// *not ready*.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        if !is_table_name(&config.hostport_table) {
            return Err(StartError::TableName(config.hostport_table));
        }
        let made = tokio::fs::create_dir_all(&config.config_dir).await;
        made.map_err(|source| StartError::MakeDirectory { path: config.config_dir.clone(), source })?;
        Ok(Self {
            loader: Loader::start(&config).await,
            cache: Cache::new(&config.cache_dir),
            host_ports: (!config.disable_hostport_mapping).then(|| Keeper::start(&config.hostport_table)),
            config,
        })
    }

    /// Whether pods can be attached. Answers from memory; when not ready it also asks for a new look at the directory.
    ///
    /// # Errors
    /// Says why not.
    pub fn readiness(&self) -> Result<(), NotReady> {
        self.loader.current().map(|_| ())
    }

    /// Waits until pods can be attached.
    ///
    /// # Errors
    /// The deadline passed; the message is the last reason.
    pub async fn wait_ready(&self, deadline: Instant) -> Result<(), NotReady> {
        self.loader.ready(deadline).await
    }

    /// Attaches `pod` to the default network and opens its host ports. Does not wait for a network that is not ready.
    ///
    /// # Errors
    /// The network is not ready, a plugin failed or hung, or the host ports could not be set. What was done is undone.
    pub async fn attach(&self, pod: &PodNetwork) -> Result<Attachment, AttachError> {
        let refused = |cause| AttachError::new(cause, Vec::new());
        let network = self.loader.fresh().await;
        let network = network.map_err(|source| refused(AttachCause::NotReady { source }))?;
        let facts = Facts::new(pod, self.host_port_owner());
        let facts = facts.map_err(|source| refused(AttachCause::Facts { source }))?;
        verify_namespace(&pod.netns).await.map_err(refused)?;

        let configuration = network.configuration.to_bytes(network.version);
        let mut entry = Entry::new(&network.configuration.name, &configuration, &facts);
        let stored = self.cache.store(&entry).await;
        stored.map_err(|source| refused(AttachCause::Cache { source }))?;
        match self.attach_recorded(&network, pod, &facts, &mut entry).await {
            Ok(attachment) => Ok(attachment),
            Err(cause) => {
                let leftovers = self.undo(pod, &entry).await;
                Err(AttachError::new(cause, leftovers))
            }
        }
    }

    /// Asks the plugins whether the pod's attachment is still what they made it. Networks older than CNI 0.4.0, or with
    /// `disableCheck`, are taken to be well.
    ///
    /// # Errors
    /// The pod is not attached, or a plugin found a fault.
    pub async fn check(&self, pod: &PodNetwork) -> Result<(), CheckError> {
        let found = self.cache.find(pod.sandbox_id.as_str()).await;
        let found = found.map_err(|source| CheckError::Cache { source })?;
        let entry = found.into_iter().find_map(|found| found.entry).ok_or(CheckError::NotAttached)?;
        let (Some(configuration), Some(result)) = (configuration_of(&entry), &entry.result) else {
            return Err(CheckError::NotAttached);
        };
        let deadline = Instant::now() + self.config.add_timeout;
        let checked = self.chain(&configuration).check(&entry.facts(), result, deadline).await;
        checked.map_err(|source| CheckError::Plugin { source })
    }

    /// Takes over the host ports of pods that survived a restart of the daemon, and removes all others that an earlier
    /// daemon left. Call once, before the first [`Self::attach`]; without pods it only cleans up.
    ///
    /// # Errors
    /// The rules could not be set.
    pub async fn restore(&self, pods: &[(PodNetwork, Attachment)]) -> Result<(), HostPortError> {
        let Some(keeper) = &self.host_ports else { return Ok(()) };
        let forwards =
            pods.iter().map(|(pod, attachment)| (pod.sandbox_id.clone(), host_ports::forwards(pod, attachment)));
        keeper.replace(forwards.collect()).await
    }

    async fn attach_recorded(
        &self,
        network: &Network,
        pod: &PodNetwork,
        facts: &Facts,
        entry: &mut Entry,
    ) -> Result<Attachment, AttachCause> {
        let deadline = Instant::now() + self.config.add_timeout;
        let plugin_cause = |source| AttachCause::Plugin { network: network.configuration.name.clone(), source };
        let result = self.chain_of(network).add(facts, deadline).await.map_err(plugin_cause)?;
        let addresses = result::addresses(&result).map_err(|source| {
            plugin_cause(PluginError::Result {
                program: network.configuration.plugins.last().map(|plugin| plugin.program.clone()).unwrap_or_default(),
                verb: Verb::Add,
                source,
            })
        })?;
        let attachment = Attachment {
            network: network.configuration.name.clone(),
            interface: INTERFACE.to_owned(),
            ips: addresses.iter().map(ipnet::IpNet::addr).collect(),
            addresses,
        };
        entry.result = Some(result);
        self.cache.store(entry).await.map_err(|source| AttachCause::Cache { source })?;
        self.open_host_ports(pod, &attachment).await.map_err(|source| AttachCause::HostPorts { source })?;
        Ok(attachment)
    }

    async fn open_host_ports(&self, pod: &PodNetwork, attachment: &Attachment) -> Result<(), HostPortError> {
        match &self.host_ports {
            Some(keeper) if !pod.ports.is_empty() => {
                keeper.set(&pod.sandbox_id, host_ports::forwards(pod, attachment)).await
            }
            _ => Ok(()),
        }
    }

    fn host_port_owner(&self) -> HostPortOwner {
        match self.host_ports {
            Some(_) => HostPortOwner::Daemon,
            None => HostPortOwner::Plugin,
        }
    }

    fn chain_of<'a>(&'a self, network: &'a Network) -> Chain<'a> {
        Chain { configuration: &network.configuration, version: network.version, directories: &self.config.plugin_dirs }
    }

    /// The chain of a recorded configuration, which names the one version it was used with.
    fn chain<'a>(&'a self, configuration: &'a NetworkConfiguration) -> Chain<'a> {
        Chain { configuration, version: configuration.versions[0], directories: &self.config.plugin_dirs }
    }
}

/// Makes sure that `path` is a network namespace, and not the node's.
async fn verify_namespace(path: &Path) -> Result<(), AttachCause> {
    let path = path.to_owned();
    joined(
        tokio::task::spawn_blocking(move || {
            let identity_of = |namespace: std::os::fd::OwnedFd, path: &Path| {
                namespace::identity(namespace.as_fd())
                    .map_err(|source| namespace::NamespaceError::Open { path: path.to_owned(), source })
            };
            let cause = |source| AttachCause::Namespace { source };
            let pod = namespace::open(&path).and_then(|namespace| identity_of(namespace, &path)).map_err(cause)?;
            let node =
                namespace::open_current(NamespaceKind::Network).and_then(|namespace| identity_of(namespace, &path));
            if pod == node.map_err(cause)? { Err(AttachCause::HostNamespace { path }) } else { Ok(()) }
        })
        .await,
    )
}

fn configuration_of(entry: &Entry) -> Option<NetworkConfiguration> {
    NetworkConfiguration::parse(&entry.configuration()?).ok()
}

fn is_table_name(name: &str) -> bool {
    const NAME_BYTES_MAX: usize = 63;
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests;
