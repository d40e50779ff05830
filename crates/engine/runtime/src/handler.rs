//! The runtime handlers: found, asked once what they can do, and looked up by the name a pod gives.
//!
//! A bad handler that is not the default is left out with a warning, as CRI-O does: one wrong table must not take the
//! node down. Without its default handler a node can run nothing, so that is an error.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crio_monitor_protocol::RuntimeCommand;
use crio_types::{Classified, ContainerId, ErrorKind, chain};

use crate::command::{CommandError, run};
use crate::features::kernel_mounts_recursively_read_only;
use crate::{Config, Features, HandlerConfig, HandlerKind, MonitorLaunch};

/// Time a runtime has to say what it can do.
const FEATURES_LIMIT: Duration = Duration::from_secs(5);
/// Time a runtime has to delete a container that nobody monitors.
const DELETE_LIMIT: Duration = Duration::from_secs(30);

/// The program that writes and reads the state of processes. Runtimes look it up in their `PATH`.
const CRIU: &str = "criu";

/// A handler that is ready to run containers.
#[derive(Debug, Clone)]
pub struct Handler {
    /// Its name.
    pub name: String,
    /// Its program, absolute.
    pub path: PathBuf,
    /// Its settings.
    pub config: HandlerConfig,
    /// What it can do.
    pub features: Features,
    systemd_cgroup: bool,
}

/// All handlers, and how monitors are started.
#[derive(Debug)]
pub struct Runtimes {
    handlers: BTreeMap<String, Arc<Handler>>,
    config: Config,
}

/// Why the handlers could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The default handler is not configured.
    #[error("the default runtime {name:?} is not configured")]
    NoDefault {
        /// Its name.
        name: String,
    },
    /// A handler's program is missing.
    #[error("no program for runtime {name:?}: {path:?} is not an executable file")]
    NoProgram {
        /// The handler.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The runtime could not be asked for its version.
    #[error("runtime {name:?} does not work")]
    Broken {
        /// The handler.
        name: String,
        /// Why.
        source: CommandError,
    },
}

impl Classified for LoadError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::FailedPrecondition
    }
}

/// Why a pod's handler cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// There is none of that name.
    #[error("failed to find runtime handler {name} from runtime list")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Its kind is not built.
    #[error("runtime handler {name} is of type \"vm\", which this build does not support")]
    Vm {
        /// The name.
        name: String,
    },
}

/// Why a handler's containers cannot be checkpointed, nor checkpoints be restored with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointUnavailable {
    /// The runtime is built without it.
    #[error("the runtime {} is built without checkpoints", path.display())]
    Runtime {
        /// The runtime's program.
        path: PathBuf,
    },
    /// The program that does the work is missing.
    #[error("checkpoints need the program {CRIU}, which is not in the pod monitor's PATH, {path:?}")]
    NoCriu {
        /// Where it was looked for.
        path: String,
    },
}

impl Classified for CheckpointUnavailable {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unimplemented
    }
}

impl Classified for ResolveError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown { .. } => ErrorKind::InvalidArgument,
            Self::Vm { .. } => ErrorKind::Unimplemented,
        }
    }
}

impl Runtimes {
    /// Finds every handler's program and asks it what it can do.
    ///
    /// # Errors
    /// The default handler is missing or does not work.
    pub async fn load(config: Config) -> Result<Self, LoadError> {
        let mut handlers = BTreeMap::new();
        for (name, handler) in &config.handlers {
            match load_handler(name, handler, config.systemd_cgroup).await {
                Ok(handler) => {
                    handlers.insert(name.clone(), Arc::new(handler));
                }
                Err(error) if *name == config.default_handler => return Err(error),
                Err(error) => tracing::warn!(handler = %name, error = %chain(&error), "runtime handler left out"),
            }
        }
        if !handlers.contains_key(&config.default_handler) {
            return Err(LoadError::NoDefault { name: config.default_handler });
        }
        Ok(Self { handlers, config })
    }

    /// The handler a pod names; the empty name is the default one.
    ///
    /// # Errors
    /// There is none of that name, or its kind is not supported.
    pub fn resolve(&self, name: &str) -> Result<Arc<Handler>, ResolveError> {
        let name = if name.is_empty() { &self.config.default_handler } else { name };
        let handler = self.handlers.get(name).ok_or_else(|| ResolveError::Unknown { name: name.to_owned() })?;
        match handler.config.kind {
            HandlerKind::Oci => Ok(Arc::clone(handler)),
            HandlerKind::Vm => Err(ResolveError::Vm { name: name.to_owned() }),
        }
    }

    /// Every usable handler, by name.
    pub fn handlers(&self) -> impl Iterator<Item = &Arc<Handler>> {
        self.handlers.values()
    }

    /// The name of the default handler.
    #[must_use]
    pub fn default_handler(&self) -> &str {
        &self.config.default_handler
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How to start the monitor of a pod: its directory, its handler, and the `cgroup.procs` files it is to join.
    #[must_use]
    pub fn monitor_launch(&self, directory: &Path, handler: &Handler, cgroup_procs: Vec<PathBuf>) -> MonitorLaunch {
        MonitorLaunch {
            binary: self.config.monitor_binary.clone(),
            directory: directory.to_owned(),
            exits_directory: self.config.exits_directory.clone(),
            cgroup_procs,
            environment: handler.config.monitor_environment.clone(),
        }
    }
}

impl Handler {
    /// The runtime's command line, as the monitor needs it.
    pub(crate) fn runtime_command(&self) -> RuntimeCommand {
        RuntimeCommand {
            path: self.path.clone(),
            root: self.config.root.clone(),
            arguments: Vec::new(),
            systemd_cgroup: self.systemd_cgroup,
        }
    }

    /// Whether its containers can be checkpointed and restored.
    ///
    /// # Errors
    /// What is missing.
    pub fn check_checkpoints(&self) -> Result<(), CheckpointUnavailable> {
        if !self.features.checkpoint {
            return Err(CheckpointUnavailable::Runtime { path: self.path.clone() });
        }
        let set = self.config.monitor_environment.iter().rev().find_map(|line| line.strip_prefix("PATH="));
        let path = set.unwrap_or(crate::monitor::DEFAULT_PATH);
        let found = std::env::split_paths(path).any(|directory| is_executable(&directory.join(CRIU)));
        if found { Ok(()) } else { Err(CheckpointUnavailable::NoCriu { path: path.to_owned() }) }
    }

    /// Kills and deletes a container whose monitor is gone. One the runtime does not know is no error.
    ///
    /// # Errors
    /// The runtime failed or hung.
    pub async fn delete_forced(&self, id: &ContainerId) -> Result<(), CommandError> {
        let mut arguments: Vec<&OsStr> = Vec::new();
        if let Some(root) = &self.config.root {
            arguments.extend([OsStr::new("--root"), root.as_os_str()]);
        }
        if self.systemd_cgroup {
            arguments.push(OsStr::new("--systemd-cgroup"));
        }
        arguments.extend(["delete", "--force", id.as_str()].map(OsStr::new));
        match run(&self.path, "delete", &arguments, DELETE_LIMIT).await {
            Err(CommandError::Failed { message, .. }) if says_absent(&message) => Ok(()),
            other => other.map(drop),
        }
    }
}

/// Whether a runtime's error text says that it does not know the container: runc says so in words, crun as the missing
/// status file.
fn says_absent(message: &str) -> bool {
    message.contains("does not exist") || message.contains("No such file or directory")
}

async fn load_handler(name: &str, config: &HandlerConfig, systemd_cgroup: bool) -> Result<Handler, LoadError> {
    let path = find_program(name, config.path.as_deref())?;
    let mut features = match config.kind {
        HandlerKind::Vm => Features::default(),
        HandlerKind::Oci => {
            ask_features(&path).await.map_err(|source| LoadError::Broken { name: name.to_owned(), source })?
        }
    };
    features.recursive_read_only &= kernel_mounts_recursively_read_only();
    Ok(Handler { name: name.to_owned(), path, config: config.clone(), features, systemd_cgroup })
}

async fn ask_features(path: &Path) -> Result<Features, CommandError> {
    let document = run(path, "features", &[OsStr::new("features")], FEATURES_LIMIT).await;
    if let Some(features) = document.ok().and_then(|document| Features::from_document(&document)) {
        return Ok(features);
    }
    let version = run(path, "--version", &[OsStr::new("--version")], FEATURES_LIMIT).await?;
    Ok(Features::from_version(&String::from_utf8_lossy(&version)))
}

fn find_program(name: &str, configured: Option<&Path>) -> Result<PathBuf, LoadError> {
    let wanted = configured.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(name));
    let missing = || LoadError::NoProgram { name: name.to_owned(), path: wanted.to_owned() };
    if wanted.is_absolute() {
        return if is_executable(wanted) { Ok(wanted.to_owned()) } else { Err(missing()) };
    }
    let search = std::env::var_os("PATH").unwrap_or_else(|| crate::monitor::DEFAULT_PATH.into());
    let found = std::env::split_paths(&search).map(|directory| directory.join(wanted)).find(|path| is_executable(path));
    found.filter(|path| path.is_absolute()).ok_or_else(missing)
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests;
