//! One node under test: the real daemon with everything around it that a test may break.
//!
//! A node has a short temporary directory (`/tmp/ct-…`) for all state and configuration, one control group `/ct-…`, one bridge
//! and subnet, and a mount namespace that a holder process keeps while daemons come and go. In that namespace `/` is shared, as
//! on a real node, and the v2 hierarchy beside v1 is covered, because crun refuses the hybrid layout otherwise.
//!
//! The programs are `$CRIO_BINARY` and `$CRIO_CONMON`, or what cargo has built. When the value is dropped, whatever is left is
//! killed and removed; when the node was not closed in order, the daemon's log goes to standard error first.

mod config;
mod place;
mod sweep;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use crio_cri_api::v1::PodSandboxConfig;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::leak::{Leaks, Scope, Snapshot};
use crate::{Cri, request, run};
pub use config::{CgroupManager, Options, Runtime};

const START_TIMEOUT: Duration = Duration::from_secs(20);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// How much of the daemon's log is shown after a failure.
const LOG_TAIL_LINES: usize = 200;
/// Leaks that are gone within this time were only on their way out.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(3);

/// A node.
#[derive(Debug)]
pub struct Node {
    directory: TempDir,
    names: config::Names,
    options: Options,
    holder: Child,
    daemon: Option<Child>,
    before: Snapshot,
    closed: bool,
}

impl Node {
    /// Makes a node and starts its daemon.
    ///
    /// # Errors
    /// Something the node needs is missing, or the daemon does not come up; the error holds the end of its log.
    pub async fn start(options: Options) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("ct-").rand_bytes(6).tempdir_in("/tmp")?;
        // What a daemon prepares for a container in a user namespace, its root walks to.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711))?;
        let names = config::Names::of(directory.path(), &options)?;
        if options.cgroup_parent.is_some() {
            // What is in there when the node ends is killed.
            let there = crate::leak::processes(directory.path(), &names.cgroup_parent);
            ensure!(there.is_empty(), "another daemon has pods in {}", names.cgroup_parent);
        }
        config::write(directory.path(), &names, &options)?;
        place::install(&place::program("CRIO_BINARY", "crio")?, &directory.path().join("bin/crio"))?;
        place::install(&place::program("CRIO_CONMON", "crio-conmon")?, &directory.path().join("bin/crio-conmon"))?;
        let holder = place::hold_namespace()?;
        let scope = scope(directory.path(), &names, holder.id());
        let mut node =
            Self { directory, names, options, holder, daemon: None, before: Snapshot::take(&scope)?, closed: false };
        node.start_daemon().await?;
        Ok(node)
    }

    /// Starts the daemon again after [`Node::kill`] or [`Node::stop`], and waits until it answers.
    ///
    /// # Errors
    /// It does not come up; the error holds the end of its log.
    pub async fn start_daemon(&mut self) -> Result<()> {
        ensure!(self.daemon.is_none(), "the daemon runs already");
        let log = fs::File::options().create(true).append(true).open(self.log_file())?;
        let path = |name: &str| self.path(name);
        let daemon = self
            .inside(&path("bin/crio"))
            .arg("--config")
            .arg(path("crio.conf"))
            .arg("--config-dir")
            .arg(path("crio.conf.d"))
            .env("CONTAINER_REGISTRIES_CONF", path("registries.conf"))
            .env("CONTAINER_REGISTRIES_CONF_DIR", path("registries.conf.d"))
            .env("CONTAINERS_STORAGE_CONF", path("storage.conf"))
            .envs(self.options.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the daemon")?;
        self.daemon = Some(daemon);
        self.wait_until_ready().await.with_context(|| format!("the daemon's log ends with\n{}", self.log_tail()))
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let socket = self.socket();
        run::until("the daemon answers", START_TIMEOUT, async || {
            if let Some(status) = self.daemon.as_mut().context("no daemon")?.try_wait()? {
                self.daemon = None;
                bail!("the daemon ended with {status}");
            }
            let Ok(client) = Cri::connect(&socket).await else {
                return Ok(None);
            };
            Ok(client.version().await.ok().map(drop))
        })
        .await
    }

    /// A client of the daemon.
    ///
    /// # Errors
    /// It does not listen.
    pub async fn cri(&self) -> Result<Cri> {
        Cri::connect(&self.socket()).await
    }

    /// The CRI socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("crio.sock")
    }

    /// The node's directory, or something in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The control group all pods of this node go below.
    #[must_use]
    pub fn cgroup_parent(&self) -> &str {
        &self.names.cgroup_parent
    }

    /// The name of its network, and of its bridge.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.names.bridge
    }

    /// The request for a pod of this node.
    #[must_use]
    pub fn pod(&self, name: &str) -> PodSandboxConfig {
        request::pod(name, &self.path("pods"), &self.names.pod_parent(name))
    }

    /// The control group, as the kernel names it, of a container in a pod of [`Node::pod`] whose name has no dash.
    #[must_use]
    pub fn container_cgroup(&self, pod: &str, id: &str) -> String {
        self.names.container_cgroup(pod, id)
    }

    /// The log file of a container that [`request::container`] describes, in a pod of [`Node::pod`].
    #[must_use]
    pub fn container_log(&self, pod: &str, container: &str) -> PathBuf {
        self.path("pods").join(pod).join(container).join("0.log")
    }

    /// The daemon's process id.
    ///
    /// # Errors
    /// It does not run.
    pub fn daemon_pid(&self) -> Result<u32> {
        Ok(self.daemon.as_ref().context("the daemon does not run")?.id())
    }

    /// A command that will run in the node's mount namespace.
    #[must_use]
    pub fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id())).arg(program);
        command
    }

    /// Kills the daemon with SIGKILL. Pods go on.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("the daemon does not run")?;
        daemon.kill()?;
        daemon.wait()?;
        Ok(())
    }

    /// Asks the daemon to end, and waits until it has.
    ///
    /// # Errors
    /// It does not run, or not end in time.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        let daemon = self.daemon.as_mut().context("the daemon does not run")?;
        kill_process(Pid::from_child(daemon), Signal::TERM)?;
        let status = run::until("the daemon ends", STOP_TIMEOUT, async || Ok(daemon.try_wait()?)).await?;
        self.daemon = None;
        Ok(status)
    }

    /// Everything the daemon has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    fn log_file(&self) -> PathBuf {
        self.path("crio.log")
    }

    /// What exists now and did not before the daemon first started, but for the daemon itself. Asks again for a moment while there is something.
    ///
    /// # Errors
    /// The host cannot be looked at.
    pub async fn leaks(&self) -> Result<Leaks> {
        let scope = scope(self.directory.path(), &self.names, self.holder.id());
        let mut last = Leaks::default();
        let settled = run::until("nothing is left", SETTLE_TIMEOUT, async || {
            last = self.before.leaks(&Snapshot::take(&scope)?, &scope);
            if let Some(daemon) = &self.daemon {
                last.forget_process(daemon.id());
            }
            Ok(last.is_empty().then_some(()))
        });
        let _ = settled.await;
        Ok(last)
    }

    /// Removes every pod, ends the daemon and looks for what is left.
    ///
    /// # Errors
    /// A pod cannot be removed, the daemon does not end, or something is left.
    pub async fn close(mut self) -> Result<()> {
        if self.daemon.is_none() {
            self.start_daemon().await?;
        }
        self.cri().await?.remove_everything().await?;
        let status = self.stop().await?;
        ensure!(status.success(), "the daemon ended with {status}");
        let leaks = self.leaks().await?;
        ensure!(leaks.is_empty(), "left behind:\n{leaks}");
        self.closed = true;
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.closed {
            eprintln!("the daemon's log ends with\n{}", self.log_tail());
        }
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        sweep::everything(self.directory.path(), &self.names);
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn scope(directory: &Path, names: &config::Names, holder: u32) -> Scope {
    Scope {
        directory: directory.to_owned(),
        cgroup_parent: names.cgroup_parent.clone(),
        bridge: names.bridge.clone(),
        network_markers: names.markers(),
        namespace_pid: holder,
    }
}

#[cfg(test)]
mod tests;
