//! The durable records of sandboxes and containers, and the directory they live in.
//!
//! One JSON file each on tmpfs, below `<state dir>/pods/<sandbox id>/`: `sandbox.json`, `<container id>.json`. A record
//! is written before the first thing it names is made and rewritten when more is learnt, so a daemon that was killed
//! finds every mount, namespace, cgroup and process it may have made. Nothing is synced: the directory does not
//! survive a reboot, and neither does anything a record names. Writes take microseconds and need no other thread.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crio_images::ResolvedImage;
use crio_network::namespaces::Pinned;
use crio_network::{Attachment, PodNetwork};
use crio_types::{
    ContainerConfig, ContainerId, ContainerState, ContainerUser, ExitReason, ImageId, Mount, Resources, SandboxConfig,
    SandboxId, SandboxState, Signal, Timestamp,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::PodError;
use crate::container::image_volume::ImageVolume;

/// The version of both record formats. A reader refuses others.
const VERSION: u32 = 1;
/// A record larger than this was not written by us: requests are limited to far less.
const MAX_RECORD_BYTES: u64 = 32 << 20;

/// How often a directory is removed that is written to meanwhile.
const REMOVE_ATTEMPTS: u32 = 3;

/// How far the making of something has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Being made. A daemon that finds this unwinds it.
    Making,
    /// Made.
    Made,
}

/// What is known of a sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SandboxRecord {
    pub(crate) version: u32,
    pub(crate) phase: Phase,
    pub(crate) id: SandboxId,
    pub(crate) name: String,
    pub(crate) config: SandboxConfig,
    /// As requested; empty for the default handler.
    pub(crate) runtime_handler: String,
    pub(crate) created_at: Timestamp,
    pub(crate) state: SandboxState,
    /// Whether what the pod held (network, namespaces, monitor, cgroup) has been given back.
    pub(crate) released: bool,
    pub(crate) hostname: String,
    pub(crate) log_directory: PathBuf,
    /// The pod's own cgroup.
    pub(crate) cgroup: String,
    /// The monitor's cgroup, when it has one of its own.
    pub(crate) monitor_cgroup: Option<String>,
    pub(crate) namespaces: Pinned,
    /// `None` for host-network pods.
    pub(crate) network: Option<PodNetwork>,
    pub(crate) attachment: Option<Attachment>,
    /// The pause container, when the pod has one.
    pub(crate) infra: Option<ContainerId>,
    /// What the runtime itself may cost the pod, as last told.
    #[serde(default)]
    pub(crate) overhead: Option<Resources>,
    /// What the pod's containers may use together, as last told.
    #[serde(default)]
    pub(crate) resources: Option<Resources>,
}

impl SandboxRecord {
    pub(crate) fn ips(&self) -> Vec<IpAddr> {
        self.attachment.as_ref().map(|attachment| attachment.ips.clone()).unwrap_or_default()
    }
}

/// What is known of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ContainerRecord {
    pub(crate) version: u32,
    pub(crate) phase: Phase,
    pub(crate) id: ContainerId,
    pub(crate) name: String,
    pub(crate) sandbox_id: SandboxId,
    pub(crate) config: ContainerConfig,
    pub(crate) image_id: ImageId,
    pub(crate) image_name: String,
    pub(crate) image_ref: String,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Timestamp,
    pub(crate) state: ContainerState,
    pub(crate) exit_code: i32,
    pub(crate) reason: Option<ExitReason>,
    pub(crate) message: String,
    pub(crate) pid: u32,
    /// When that process started, in clock ticks since boot: with it the number is not mistaken for a later process'.
    pub(crate) start_time: u64,
    pub(crate) log_path: PathBuf,
    pub(crate) cgroup: String,
    /// The directory with `config.json`.
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    /// The mounts of the request, host paths resolved.
    pub(crate) mounts: Vec<Mount>,
    pub(crate) resources: Resources,
    pub(crate) user: Option<ContainerUser>,
    pub(crate) stop_signal: Signal,
    /// The images among its mounts.
    #[serde(default)]
    pub(crate) image_volumes: Vec<ImageVolume>,
    /// It has no PID namespace of its own, so its first process does not take the others with it.
    pub(crate) shares_pids: bool,
    /// It is to be made out of a checkpoint when it is started: the directory of what was unpacked of that.
    #[serde(default)]
    pub(crate) awaits_restore: Option<PathBuf>,
    /// It was made out of a checkpoint, then.
    #[serde(default)]
    pub(crate) restored_at: Timestamp,
    /// Its processes are kept from running while they are checkpointed.
    #[serde(default)]
    pub(crate) is_frozen: bool,
}

impl ContainerRecord {
    /// The record of a container of which nothing is made yet. Its name and its places are for the caller to fill in.
    pub(crate) fn planned(
        id: ContainerId,
        sandbox_id: SandboxId,
        config: ContainerConfig,
        image: &ResolvedImage,
    ) -> Self {
        Self {
            version: VERSION,
            phase: Phase::Making,
            id,
            name: String::new(),
            sandbox_id,
            image_id: image.id.clone(),
            image_name: image.name.clone(),
            image_ref: image.image_ref.clone(),
            created_at: Timestamp::now(),
            started_at: Timestamp::NEVER,
            finished_at: Timestamp::NEVER,
            state: ContainerState::Created,
            exit_code: 0,
            reason: None,
            message: String::new(),
            pid: 0,
            start_time: 0,
            log_path: PathBuf::new(),
            cgroup: String::new(),
            bundle: PathBuf::new(),
            rootfs: PathBuf::new(),
            mounts: Vec::new(),
            resources: config.resources.clone().unwrap_or_default(),
            user: None,
            stop_signal: Signal::TERM,
            image_volumes: Vec::new(),
            shares_pids: false,
            awaits_restore: None,
            restored_at: Timestamp::NEVER,
            is_frozen: false,
            config,
        }
    }
}

/// The directory of one pod's records, sockets and shared files.
#[derive(Debug, Clone)]
pub(crate) struct PodDirectory(PathBuf);

impl PodDirectory {
    /// The directory of this sandbox below the daemon's state directory.
    pub(crate) fn new(state_dir: &Path, id: &SandboxId) -> Self {
        Self(pods_dir(state_dir).join(id.as_str()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes it, for root alone.
    pub(crate) fn create(&self) -> Result<(), PodError> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .map_err(PodError::file("creating", &self.0))
    }

    /// Removes it with everything in it; a directory that is gone is no error.
    pub(crate) fn remove(&self) -> Result<(), PodError> {
        // A late record may be written meanwhile; nothing writes for long once what it tells of is gone.
        let mut removed = std::fs::remove_dir_all(&self.0);
        for _again in 1..REMOVE_ATTEMPTS {
            if !removed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::DirectoryNotEmpty) {
                break;
            }
            removed = std::fs::remove_dir_all(&self.0);
        }
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PodError::file("removing", &self.0)(error)),
            _ => Ok(()),
        }
    }

    /// Whether there is a record of the sandbox, readable or not.
    pub(crate) fn has_sandbox(&self) -> bool {
        self.0.join("sandbox.json").try_exists().unwrap_or(true)
    }

    /// The containers that have a record here, readable or not.
    pub(crate) fn container_ids(&self) -> Vec<ContainerId> {
        let stem = |path: &PathBuf| path.file_stem()?.to_str()?.parse().ok();
        self.container_files().iter().filter_map(stem).collect()
    }

    pub(crate) fn write_sandbox(&self, record: &SandboxRecord) -> Result<(), PodError> {
        write(&self.0.join("sandbox.json"), record)
    }

    pub(crate) fn write_container(&self, record: &ContainerRecord) -> Result<(), PodError> {
        write(&self.container_file(&record.id), record)
    }

    pub(crate) fn remove_container(&self, id: &ContainerId) -> Result<(), PodError> {
        let path = self.container_file(id);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PodError::file("removing", &path)(error)),
            _ => Ok(()),
        }
    }

    pub(crate) fn read_sandbox(&self) -> Result<SandboxRecord, PodError> {
        let path = self.0.join("sandbox.json");
        let record: SandboxRecord = read(&path)?;
        check_version(&path, record.version)?;
        Ok(record)
    }

    /// The records of all its containers; those that cannot be read are errors beside them.
    pub(crate) fn read_containers(&self) -> (Vec<ContainerRecord>, Vec<PodError>) {
        let mut records = Vec::new();
        let mut failures = Vec::new();
        for path in self.container_files() {
            match read::<ContainerRecord>(&path).and_then(|r| check_version(&path, r.version).map(|()| r)) {
                Ok(record) => records.push(record),
                Err(error) => failures.push(error),
            }
        }
        (records, failures)
    }

    fn container_file(&self, id: &ContainerId) -> PathBuf {
        self.0.join(format!("{id}.json"))
    }

    fn container_files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let is_record = |path: &PathBuf| {
            path.extension().is_some_and(|extension| extension == "json")
                && path.file_stem().and_then(|s| s.to_str()).is_some_and(|s| s.parse::<ContainerId>().is_ok())
        };
        entries.map(|entry| entry.path()).filter(is_record).collect()
    }
}

impl SandboxRecord {
    /// The version new records carry.
    pub(crate) const VERSION: u32 = VERSION;
}

/// The directory that holds one directory a pod.
pub(crate) fn pods_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("pods")
}

fn write<T: Serialize>(path: &Path, record: &T) -> Result<(), PodError> {
    let json = serde_json::to_vec(record).map_err(|error| PodError::file("encoding", path)(error.into()))?;
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, json).map_err(PodError::file("writing", &fresh))?;
    std::fs::rename(&fresh, path).map_err(PodError::file("renaming to", path))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, PodError> {
    let size = std::fs::metadata(path).map_err(PodError::file("reading", path))?.len();
    if size > MAX_RECORD_BYTES {
        return Err(PodError::file("reading", path)(io::Error::other("record is larger than any we write")));
    }
    let json = std::fs::read(path).map_err(PodError::file("reading", path))?;
    serde_json::from_slice(&json).map_err(|error| PodError::file("decoding", path)(error.into()))
}

fn check_version(path: &Path, version: u32) -> Result<(), PodError> {
    if version == VERSION {
        return Ok(());
    }
    let reason = format!("record version {version}, expected {VERSION}");
    Err(PodError::file("reading", path)(io::Error::other(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_even_when_it_cannot_be_read() {
        let state = std::env::temp_dir().join(format!("crio-pods-record-{}", std::process::id()));
        let directory = PodDirectory::new(&state, &SandboxId::from_bytes([1; 32]));
        directory.create().expect("made");
        assert!(!directory.has_sandbox());
        let id = ContainerId::from_bytes([2; 32]);
        for name in ["sandbox.json".to_owned(), format!("{id}.json"), format!("{id}.exit.json"), format!("{id}.new")] {
            std::fs::write(directory.path().join(name), "torn").expect("written");
        }
        assert!(directory.has_sandbox());
        assert_eq!(directory.container_ids(), [id]);
        let (records, failures) = directory.read_containers();
        assert_eq!((records.len(), failures.len()), (0, 1));
        std::fs::remove_dir_all(&state).expect("removed");
    }
}
