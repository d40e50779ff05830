//! Choosing the node's network from its configuration directory.
//!
//! Files with the extensions `.conf`, `.conflist` and `.json` count, in lexical order. The first that is *usable* wins,
//! or the first usable one of the configured name: it parses, its plugins are installed, and all of them speak one of
//! its versions. What is wrong with the others is reported, and does not stop the search. Plugins are asked for their
//! versions once for each file they are, not at every look.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::chain::Chain;
use super::configuration::{ConfigurationError, NetworkConfiguration};
use super::plugin::{self, PluginError};
use super::version::SpecVersion;
use crate::namespaces::joined;

/// How long a plugin may take to say which versions it speaks, or whether it is ready.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// More files than any node has; the rest is not looked at.
const FILES_MAX: usize = 256;

/// The network pods are attached to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Network {
    pub(crate) configuration: NetworkConfiguration,
    pub(crate) version: SpecVersion,
    /// Where it was read from.
    pub(crate) file: PathBuf,
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("the configuration is broken")]
    Configuration { source: ConfigurationError },
    #[error("a plugin cannot be used")]
    Plugin { source: PluginError },
    #[error("its plugins and it share no CNI version")]
    Versions,
}

/// No network to attach pods to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelectError {
    #[error("cannot read the CNI configuration directory {path}")]
    List { path: PathBuf, source: std::io::Error },
    #[error("no CNI configuration file in {path}")]
    Empty { path: PathBuf },
    #[error("no usable CNI configuration in {path}: {}", problems.join("; "))]
    NoneUsable { path: PathBuf, problems: Vec<String> },
    #[error("no usable CNI network {name:?} in {path}{}{}", if problems.is_empty() { "" } else { ": " }, problems.join("; "))]
    NotFound { path: PathBuf, name: String, problems: Vec<String> },
    #[error("network {name} is not ready")]
    NotReady { name: String, source: PluginError },
}

/// What one look at the directory found.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) network: Result<Network, SelectError>,
    /// What is wrong with files that come before the chosen one, a line each.
    pub(crate) problems: Vec<String>,
}

/// The configuration directory and what is known about the plugins.
#[derive(Debug)]
pub(crate) struct Directory {
    config_dir: PathBuf,
    plugin_dirs: Vec<PathBuf>,
    default_network: Option<String>,
    versions: HashMap<PathBuf, (Stamp, BTreeSet<SpecVersion>)>,
}

/// What changes when a file is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size_bytes: u64,
    changed: (i64, i64),
}

impl Directory {
    pub(crate) fn new(config_dir: &Path, plugin_dirs: &[PathBuf], default_network: Option<&str>) -> Self {
        Self {
            config_dir: config_dir.to_owned(),
            plugin_dirs: plugin_dirs.to_vec(),
            default_network: default_network.map(str::to_owned),
            versions: HashMap::new(),
        }
    }

    /// Looks at the directory, and asks the chosen network's plugins whether they are ready.
    pub(crate) async fn select(&mut self) -> Selection {
        let files = match self.files().await {
            Ok(files) => files,
            Err(error) => {
                return Selection { network: Err(error), problems: Vec::new() };
            }
        };
        let mut problems = Vec::new();
        for (file, loaded) in files {
            match self.accept(loaded).await {
                Ok(None) => {}
                Ok(Some((configuration, version))) => {
                    let network = Network { configuration, version, file };
                    return Selection { network: self.ready(network).await, problems };
                }
                Err(problem) => problems.push(format!("{}: {}", file.display(), crio_types::chain(&problem))),
            }
        }
        Selection { network: Err(self.nothing(problems.clone())), problems }
    }

    /// Every candidate file in order, parsed.
    async fn files(&self) -> Result<Vec<Loaded>, SelectError> {
        let directory = self.config_dir.clone();
        let listed = joined(tokio::task::spawn_blocking(move || load_all(&directory)).await);
        listed.map_err(|source| SelectError::List { path: self.config_dir.clone(), source })
    }

    /// The configuration with the version to use; `None` when it is not the network that was asked for.
    async fn accept(
        &mut self,
        loaded: Result<NetworkConfiguration, ConfigurationError>,
    ) -> Result<Option<(NetworkConfiguration, SpecVersion)>, Problem> {
        let configuration = loaded.map_err(|source| Problem::Configuration { source })?;
        if self.default_network.as_ref().is_some_and(|name| *name != configuration.name) {
            return Ok(None);
        }
        let mut common: Option<BTreeSet<SpecVersion>> = None;
        for plugin in &configuration.plugins {
            let spoken = self.versions_of(&plugin.program).await.map_err(|source| Problem::Plugin { source })?;
            common = Some(match common {
                None => spoken,
                Some(common) => common.intersection(&spoken).copied().collect(),
            });
        }
        let common = common.unwrap_or_default();
        let version = configuration.versions.iter().copied().find(|version| common.contains(version));
        let version = version.ok_or(Problem::Versions)?;
        Ok(Some((configuration, version)))
    }

    async fn versions_of(&mut self, program: &str) -> Result<BTreeSet<SpecVersion>, PluginError> {
        let file = plugin::find(program, &self.plugin_dirs)?;
        let stamp = std::fs::metadata(&file).ok().map(|metadata| Stamp {
            inode: metadata.ino(),
            size_bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        });
        if let (Some(stamp), Some((known, versions))) = (stamp, self.versions.get(&file))
            && stamp == *known
        {
            return Ok(versions.clone());
        }
        let versions = plugin::versions(program, &self.plugin_dirs, Instant::now() + PROBE_TIMEOUT).await?;
        if let Some(stamp) = stamp {
            self.versions.insert(file, (stamp, versions.clone()));
        }
        Ok(versions)
    }

    async fn ready(&self, network: Network) -> Result<Network, SelectError> {
        let chain =
            Chain { configuration: &network.configuration, version: network.version, directories: &self.plugin_dirs };
        match chain.status(Instant::now() + PROBE_TIMEOUT).await {
            Ok(()) => Ok(network),
            Err(source) => Err(SelectError::NotReady { name: network.configuration.name, source }),
        }
    }

    fn nothing(&self, problems: Vec<String>) -> SelectError {
        let path = self.config_dir.clone();
        match &self.default_network {
            Some(name) => SelectError::NotFound { path, name: name.clone(), problems },
            None if problems.is_empty() => SelectError::Empty { path },
            None => SelectError::NoneUsable { path, problems },
        }
    }
}

type Loaded = (PathBuf, Result<NetworkConfiguration, ConfigurationError>);

fn load_all(directory: &Path) -> std::io::Result<Vec<Loaded>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("conf" | "conflist" | "json")) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    files.truncate(FILES_MAX);
    Ok(files
        .into_iter()
        .map(|path| {
            let loaded = NetworkConfiguration::load(&path);
            (path, loaded)
        })
        .collect())
}
