//! The pods and containers that are measured, and how they are started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use crio_cri_api::v1;

use crate::client::Cri;
use crate::options::{Network, Options};

/// Carries the id of the run on everything it makes.
pub(crate) const RUN_LABEL: &str = "crio-bench-run";
/// The file by which a container says that its signal handler is in place.
pub(crate) const READY_FILE: &str = "/crio-bench-ready";
/// Bytes of a line that a container logs, its line feed included.
pub(crate) const LINE_BYTES: u64 = 100;
/// How many lines the printing container keeps ready.
pub(crate) const CHUNK_LINES: u64 = 80_000;
/// How long a started container may take to be seen running.
const RUNNING_DEADLINE: Duration = Duration::from_secs(60);

/// What a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    /// Sleeps, and as the first process of its namespace ignores SIGTERM.
    Sleeps,
    /// Exits on SIGTERM, once [`READY_FILE`] exists.
    ObeysTerm,
    /// Writes [`CHUNK_LINES`] lines of [`LINE_BYTES`] this many times over, and exits.
    Prints {
        /// How often.
        chunks: u64,
    },
}

impl Process {
    fn command(self) -> Vec<String> {
        let words: Vec<String> = match self {
            Self::Sleeps => vec!["sleep".into(), "100000".into()],
            Self::ObeysTerm => {
                let script = format!("trap 'exit 0' TERM; : > {READY_FILE}; while :; do sleep 100000 & wait; done");
                vec!["sh".into(), "-c".into(), script]
            }
            // A chunk is made once and copied by the kernel from then on, so that the runtime is measured, not the printer.
            Self::Prints { chunks } => {
                let width = usize::try_from(LINE_BYTES - 1).unwrap_or_default();
                let line = "x".repeat(width);
                vec![
                    "sh".into(),
                    "-c".into(),
                    format!(
                        "yes {line} | head -n {CHUNK_LINES} > /chunk; i=0; \
                         while [ $i -lt {chunks} ]; do cat /chunk; i=$((i + 1)); done"
                    ),
                ]
            }
        };
        words
    }
}

/// A sandbox that runs, and its configuration, which CreateContainer wants again.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) id: String,
    pub(crate) config: v1::PodSandboxConfig,
}

/// Makes the configurations of one run.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    run_id: String,
    image: String,
    network: Network,
    cgroup_parent: String,
    handler: String,
    logs: PathBuf,
}

impl Template {
    pub(crate) fn new(options: &Options, logs: &Path) -> Self {
        Self {
            run_id: logs.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            image: options.image.clone(),
            network: options.network,
            cgroup_parent: options.cgroup_parent.clone(),
            handler: options.runtime_handler.clone(),
            logs: logs.to_owned(),
        }
    }

    pub(crate) fn run_id(&self) -> &str {
        &self.run_id
    }

    fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(RUN_LABEL.to_owned(), self.run_id.clone())])
    }

    /// The host path of a container's log.
    pub(crate) fn log_file(&self, pod: &str, container: &str) -> PathBuf {
        self.logs.join(pod).join(container).join("0.log")
    }

    fn namespaces(&self) -> v1::NamespaceOption {
        let network = match self.network {
            Network::Cni => v1::NamespaceMode::Pod,
            Network::Host => v1::NamespaceMode::Node,
        };
        v1::NamespaceOption { network: network.into(), pid: v1::NamespaceMode::Container.into(), ..Default::default() }
    }

    /// The sandbox `name`, as kubelet would ask for it.
    pub(crate) fn sandbox(&self, name: &str) -> v1::PodSandboxConfig {
        let metadata = v1::PodSandboxMetadata {
            name: name.to_owned(),
            uid: format!("{}-{name}", self.run_id),
            namespace: "crio-bench".to_owned(),
            attempt: 0,
        };
        let security = v1::LinuxSandboxSecurityContext {
            namespace_options: Some(self.namespaces()),
            seccomp: Some(v1::SecurityProfile::default()),
            ..Default::default()
        };
        v1::PodSandboxConfig {
            metadata: Some(metadata),
            log_directory: self.logs.join(name).to_string_lossy().into_owned(),
            labels: self.labels(),
            linux: Some(v1::LinuxPodSandboxConfig {
                cgroup_parent: self.cgroup_parent.clone(),
                security_context: Some(security),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// The container `name`, as kubelet would ask for it.
    pub(crate) fn container(&self, name: &str, process: Process) -> v1::ContainerConfig {
        let security = v1::LinuxContainerSecurityContext {
            namespace_options: Some(self.namespaces()),
            seccomp: Some(v1::SecurityProfile::default()),
            ..Default::default()
        };
        v1::ContainerConfig {
            metadata: Some(v1::ContainerMetadata { name: name.to_owned(), attempt: 0 }),
            image: Some(v1::ImageSpec { image: self.image.clone(), ..Default::default() }),
            command: process.command(),
            labels: self.labels(),
            log_path: format!("{name}/0.log"),
            linux: Some(v1::LinuxContainerConfig { resources: None, security_context: Some(security) }),
            ..Default::default()
        }
    }

    /// Makes the directories that kubelet would make.
    pub(crate) fn make_log_directory(&self, pod: &str, container: &str) -> Result<()> {
        let directory = self.logs.join(pod).join(container);
        std::fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))
    }

    /// Runs the sandbox `name`.
    pub(crate) async fn run(&self, cri: &Cri, name: &str) -> Result<Sandbox> {
        let config = self.sandbox(name);
        let id = cri.run_pod_sandbox(config.clone(), &self.handler).await?;
        Ok(Sandbox { id, config })
    }
}

/// Waits until a started container is seen running.
pub(crate) async fn seen_running(cri: &Cri, id: &str) -> Result<()> {
    let started = Instant::now();
    loop {
        let state = cri.container_state(id).await?.state();
        match state {
            v1::ContainerState::ContainerRunning => return Ok(()),
            v1::ContainerState::ContainerExited => bail!("container {id} exited at once"),
            _ if started.elapsed() > RUNNING_DEADLINE => bail!("container {id} is {state:?}, not running"),
            _ => tokio::task::yield_now().await,
        }
    }
}
