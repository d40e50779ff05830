//! The attachments a node has, as libcni records them (`<cache_dir>/results/<network>-<container id>-<interface>`).
//!
//! Other programs read these files, and files they wrote are honoured here, so the format is theirs: kind `cniCacheV1`.
//! An entry is written *before* the plugins run, then without a result, so that whoever finds it later can detach with
//! the very configuration that was used. Nothing is synced: after a power cut the pods are gone too, and an unreadable
//! entry only means that the present configuration is used instead.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::INTERFACE;
use super::runtime::Facts;
use crate::namespaces::joined;

const KIND: &str = "cniCacheV1";
/// Largest entry that is read: a configuration and a result, each at most a megabyte, one of them in base64.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// One attachment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    kind: String,
    #[serde(rename = "containerId")]
    pub(crate) container_id: String,
    /// The network configuration, in base64.
    config: String,
    #[serde(rename = "ifName")]
    interface: String,
    #[serde(rename = "networkName")]
    pub(crate) network: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    netns: String,
    #[serde(rename = "cniArgs", default, skip_serializing_if = "Vec::is_empty")]
    arguments: Vec<(String, String)>,
    #[serde(rename = "capabilityArgs", default, skip_serializing_if = "Map::is_empty")]
    capabilities: Map<String, Value>,
    /// What the chain answered; absent while ADD is under way or when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Map<String, Value>>,
}

impl Entry {
    pub(crate) fn new(network: &str, configuration: &[u8], facts: &Facts) -> Self {
        Self {
            kind: KIND.to_owned(),
            container_id: facts.container_id.clone(),
            config: STANDARD.encode(configuration),
            interface: INTERFACE.to_owned(),
            network: network.to_owned(),
            netns: facts.netns.clone(),
            arguments: facts.arguments.clone(),
            capabilities: facts.capabilities.clone(),
            result: None,
        }
    }

    /// The network configuration; `None` when it is not base64.
    pub(crate) fn configuration(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.config).ok()
    }

    /// The pod as it was described when it was attached.
    pub(crate) fn facts(&self) -> Facts {
        Facts {
            container_id: self.container_id.clone(),
            netns: self.netns.clone(),
            arguments: self.arguments.clone(),
            capabilities: self.capabilities.clone(),
        }
    }

    fn file_name(&self) -> String {
        format!("{}-{}-{}", self.network, self.container_id, self.interface)
    }
}

/// The cache directory could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {attempt} {path} in the cache of network attachments")]
pub struct CacheError {
    /// What was attempted.
    attempt: &'static str,
    /// On what.
    path: PathBuf,
    /// Why.
    source: io::Error,
}

/// A file of the cache that names a container.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// `None` when the file makes no sense.
    pub(crate) entry: Option<Entry>,
}

/// The directory of entries.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    directory: PathBuf,
}

impl Cache {
    pub(crate) fn new(cache_dir: &Path) -> Self {
        Self { directory: cache_dir.join("results") }
    }

    /// Writes `entry`, replacing an older one of the same attachment.
    pub(crate) async fn store(&self, entry: &Entry) -> Result<(), CacheError> {
        let bytes = serde_json::to_vec(entry).expect("strings and JSON values always serialise");
        let (directory, name) = (self.directory.clone(), entry.file_name());
        joined(tokio::task::spawn_blocking(move || write(&directory, &name, &bytes)).await)
    }

    /// Every entry of the container. What a killed daemon was writing for it is removed: nobody else writes it now.
    pub(crate) async fn find(&self, container_id: &str) -> Result<Vec<Found>, CacheError> {
        let directory = self.directory.clone();
        let suffix = format!("-{container_id}-{INTERFACE}");
        let find = move || {
            remove_unfinished(&directory, &suffix)?;
            read(&directory, |name| name.ends_with(&suffix))
        };
        joined(tokio::task::spawn_blocking(find).await)
    }

    /// Every entry of the network.
    pub(crate) async fn of_network(&self, network: &str) -> Result<Vec<Entry>, CacheError> {
        let directory = self.directory.clone();
        let prefix = format!("{network}-");
        let found =
            joined(tokio::task::spawn_blocking(move || read(&directory, |name| name.starts_with(&prefix))).await)?;
        let entries = found.into_iter().filter_map(|found| found.entry);
        Ok(entries.filter(|entry| entry.network == network && entry.interface == INTERFACE).collect())
    }

    /// Removes a file; it need not exist.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), CacheError> {
        match tokio::fs::remove_file(path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cache_error("remove", path, error)),
            _ => Ok(()),
        }
    }

    /// Where the entry is kept.
    pub(crate) fn path_of(&self, entry: &Entry) -> PathBuf {
        self.directory.join(entry.file_name())
    }
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), CacheError> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| cache_error("make", directory, source))?;
    let (path, unfinished) = (directory.join(name), directory.join(format!(".{name}.new")));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(&unfinished)
        .and_then(|mut file| io::Write::write_all(&mut file, bytes))
        .map_err(|source| cache_error("write", &unfinished, source))?;
    std::fs::rename(&unfinished, &path).map_err(|source| cache_error("write", &path, source))
}

/// Removes the files whose writing was cut off before they got their name, among those with this end.
fn remove_unfinished(directory: &Path, suffix: &str) -> Result<(), CacheError> {
    let unfinished = format!("{suffix}.new");
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for file in files.filter(|file| file.file_name().to_str().is_some_and(|name| name.ends_with(&unfinished))) {
        std::fs::remove_file(file.path()).map_err(|source| cache_error("remove", &file.path(), source))?;
    }
    Ok(())
}

fn read(directory: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Found>, CacheError> {
    let list_error = |source| cache_error("list", directory, source);
    let files = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files.map_err(list_error)?,
    };
    let mut found = Vec::new();
    for file in files {
        let file = file.map_err(list_error)?;
        let name = file.file_name();
        if name.to_str().is_some_and(|name| !name.starts_with('.') && is_wanted(name)) {
            let path = file.path();
            // A name is made of the fields; a file whose fields make another name was put there by somebody else.
            let entry = parse(&path).filter(|entry| name.to_str() == Some(entry.file_name().as_str()));
            found.push(Found { path, entry });
        }
    }
    Ok(found)
}

fn parse(path: &Path) -> Option<Entry> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok().filter(|entry: &Entry| entry.kind == KIND)
}

fn cache_error(attempt: &'static str, path: &Path, source: io::Error) -> CacheError {
    CacheError { attempt, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cni::runtime::HostPortOwner;
    use crate::pod::tests::pod;

    #[tokio::test]
    async fn what_a_killed_daemon_was_writing_goes_with_the_look_up() {
        let dir = tempfile::tempdir().expect("tempdir");
        let cache = Cache::new(dir.path());
        let (ours, other) = ("03".repeat(32), "04".repeat(32));
        let place = |id: &str| dir.path().join(format!("results/.crio-{id}-eth0.new"));
        std::fs::create_dir(dir.path().join("results")).expect("the directory");
        std::fs::write(place(&ours), "{").expect("a torn file");
        std::fs::write(place(&other), "{").expect("another's");
        assert!(cache.find(&ours).await.expect("find").is_empty());
        assert!(!place(&ours).exists());
        assert!(place(&other).exists(), "somebody may be writing it");
    }

    #[tokio::test]
    async fn an_entry_is_what_libcni_writes() {
        let dir = tempfile::tempdir().expect("tempdir");
        let cache = Cache::new(dir.path());
        let facts = Facts::new(&pod(3), HostPortOwner::Daemon).expect("plain");
        let mut entry = Entry::new("crio", b"{}", &facts);
        assert!(cache.find(&facts.container_id).await.expect("no directory yet").is_empty());
        cache.store(&entry).await.expect("store");
        entry.result = Some(Map::new());
        cache.store(&entry).await.expect("replace");

        let path = dir.path().join(format!("results/crio-{}-eth0", "03".repeat(32)));
        let text: Value = serde_json::from_slice(&std::fs::read(&path).expect("the file")).expect("JSON");
        assert_eq!(text["kind"], "cniCacheV1");
        assert_eq!(text["config"], "e30=");
        assert_eq!(text["cniArgs"][0], serde_json::json!(["IgnoreUnknown", "1"]));
        assert_eq!((&text["ifName"], &text["networkName"]), (&"eth0".into(), &"crio".into()));

        let found = cache.find(&facts.container_id).await.expect("find");
        assert_eq!(found, [Found { path: path.clone(), entry: Some(entry.clone()) }]);
        assert_eq!(entry.facts(), facts);
        assert_eq!(cache.of_network("crio").await.expect("list"), [entry]);
        assert!(cache.of_network("cri").await.expect("list").is_empty());
        cache.remove(&path).await.expect("remove");
        cache.remove(&path).await.expect("remove again");
    }

    #[tokio::test]
    async fn a_file_that_makes_no_sense_is_found_but_not_believed() {
        let dir = tempfile::tempdir().expect("tempdir");
        let cache = Cache::new(dir.path());
        let id = "04".repeat(32);
        std::fs::create_dir(dir.path().join("results")).expect("mkdir");
        let path = dir.path().join(format!("results/crio-{id}-eth0"));
        let other = r#"{"kind":"cniCacheV1","containerId":"../../x","config":"","ifName":"eth0","networkName":"crio"}"#;
        for text in ["", "{", r#"{"kind":"other"}"#, other] {
            std::fs::write(&path, text).expect("write");
            let found = cache.find(&id).await.expect("find");
            assert_eq!(found, [Found { path: path.clone(), entry: None }], "{text}");
        }
    }
}
