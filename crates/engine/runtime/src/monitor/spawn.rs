//! Starting a monitor.
//!
//! The listening socket is made here and handed over as standard input, so that a connection can be opened at once and
//! no start-up is waited for by polling. What the monitor says before its first greeting goes to a memory file, which
//! explains a failed start.

use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crio_monitor_protocol::SOCKET_NAME;
use crio_sys::seqpacket::{SeqPacket, SeqPacketListener};
use rustix::fs::MemfdFlags;

use super::Monitor;
use super::connection::Connection;
use super::error::SpawnError;

/// The program search path of a monitor, and so of the runtime it runs, unless its environment says otherwise.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The most that is quoted of what a monitor said when it failed.
const SAID_MAX_BYTES: usize = 1024;

/// How to start a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorLaunch {
    /// The program.
    pub binary: PathBuf,
    /// The pod's directory, absolute; made when absent.
    pub directory: PathBuf,
    /// Where exit codes are published.
    pub exits_directory: PathBuf,
    /// `cgroup.procs` files of the cgroups to join.
    pub cgroup_procs: Vec<PathBuf>,
    /// Environment, as `NAME=value`.
    pub environment: Vec<String>,
}

pub(super) async fn spawn(launch: &MonitorLaunch) -> Result<Monitor, SpawnError> {
    let said = start(launch)?;
    match Connection::open(&launch.directory).await {
        Ok(connection) => Ok(Monitor { connection }),
        Err(source) => Err(SpawnError::Failed { binary: launch.binary.clone(), said: quote(&said), source }),
    }
}

fn start(launch: &MonitorLaunch) -> Result<std::fs::File, SpawnError> {
    let prepare = |source| SpawnError::Prepare { directory: launch.directory.clone(), source };
    make_directory(&launch.directory).map_err(prepare)?;
    if SeqPacket::connect(&launch.directory, SOCKET_NAME).is_ok() {
        return Err(SpawnError::Running { directory: launch.directory.clone() });
    }
    let listener = SeqPacketListener::bind(&launch.directory, SOCKET_NAME).map_err(prepare)?;
    let said = rustix::fs::memfd_create("monitor-start", MemfdFlags::CLOEXEC)
        .map(std::fs::File::from)
        .map_err(|errno| prepare(errno.into()))?;
    let speak = said.try_clone().map_err(prepare)?;

    let mut command = tokio::process::Command::new(&launch.binary);
    command.arg("--directory").arg(&launch.directory).arg("--exits-directory").arg(&launch.exits_directory);
    for path in &launch.cgroup_procs {
        command.arg("--cgroup-procs").arg(path);
    }
    command.env_clear().env("PATH", DEFAULT_PATH);
    command.envs(launch.environment.iter().filter_map(|pair| pair.split_once('=')));
    command.current_dir("/").stdin(listener.into_descriptor()).stdout(Stdio::null()).stderr(speak);
    // The handle is dropped on purpose: the monitor is meant to outlive us, and the runtime collects it if it does not.
    let child = command.spawn().map_err(|source| SpawnError::Run { binary: launch.binary.clone(), source })?;
    drop(child);
    Ok(said)
}

fn make_directory(directory: &Path) -> std::io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        other => other,
    }
}

fn quote(said: &std::fs::File) -> String {
    let mut buffer = [0u8; SAID_MAX_BYTES];
    let length = said.read_at(&mut buffer, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&buffer[..length]).trim().to_owned();
    if text.is_empty() { "it said nothing".to_owned() } else { text }
}
