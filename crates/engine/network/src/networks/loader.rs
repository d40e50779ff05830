//! Knowing the present network: a task that looks at the configuration directory when it has reason to.
//!
//! Reasons are: inotify reports a change of the configuration or of a plugin directory; somebody asks while there is
//! no network; and time, because notifications get lost and directories get replaced. Readers see the last result and
//! never wait for a look. A file in the middle of being written is left to settle before it is read.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::{Config, NotReady};
use crate::cni::directory::{Directory, Network};
use crate::task::OwnedTask;

/// How often to look without any notice while there is no network.
const RESCAN_NOT_READY: Duration = Duration::from_secs(5);
/// How often to look without any notice while there is one.
const RESCAN_READY: Duration = Duration::from_secs(60);
/// Quiet time after a change before the directory is read.
const SETTLE: Duration = Duration::from_millis(50);
/// Longest wait for quiet.
const SETTLE_MAX: Duration = Duration::from_millis(500);
/// How long a reader waits for a look, which runs plugins it does not know yet.
const LOOK_PATIENCE: Duration = Duration::from_secs(30);
/// Requests for a look that may wait.
const QUEUE_MAX: usize = 64;

/// The network, or why there is none.
pub(super) type State = Result<Arc<Network>, NotReady>;

/// Somebody waits for the look to be over, or not.
type Look = Option<oneshot::Sender<()>>;

/// Readers' end; the task ends when this is dropped.
#[derive(Debug)]
pub(super) struct Loader {
    pub(super) state: watch::Receiver<State>,
    looks: mpsc::Sender<Look>,
    _task: OwnedTask,
}

impl Loader {
    /// Looks once and starts the task.
    pub(super) async fn start(config: &Config) -> Self {
        let directory = Directory::new(&config.config_dir, &config.plugin_dirs, config.default_network.as_deref());
        let (sender, state) =
            watch::channel(Err(NotReady { message: "the CNI configuration was not read yet".to_owned() }));
        let (changed, changes) = mpsc::channel(1);
        let watched = std::iter::once(&config.config_dir).chain(&config.plugin_dirs).cloned();
        let mut worker = Worker {
            directory,
            watches: Watches::new(watched.collect(), changed),
            state: sender,
            problems: Vec::new(),
        };
        worker.look().await;
        let (looks, requests) = mpsc::channel(QUEUE_MAX);
        Self { state, looks, _task: OwnedTask::spawn(worker.run(requests, changes)) }
    }

    /// The last result. Without a network it also asks for another look.
    pub(super) fn current(&self) -> State {
        let state = self.state.borrow().clone();
        if state.is_err() {
            // A full queue means that a look is due anyway.
            let _ = self.looks.try_send(None);
        }
        state
    }

    /// The network; without one, looks again before answering.
    pub(super) async fn fresh(&self) -> State {
        if let Ok(network) = self.state.borrow().clone() {
            return Ok(network);
        }
        let (done, over) = oneshot::channel();
        let look = async {
            if self.looks.send(Some(done)).await.is_ok() {
                let _ = over.await;
            }
        };
        let _ = tokio::time::timeout(LOOK_PATIENCE, look).await;
        self.state.borrow().clone()
    }

    /// Waits for a network.
    pub(super) async fn ready(&self, deadline: Instant) -> Result<(), NotReady> {
        let mut state = self.state.clone();
        let wait = async {
            let _ = self.fresh().await;
            // The sender lives in the task, which lives as long as we do.
            let _ = state.wait_for(Result::is_ok).await;
        };
        let _ = tokio::time::timeout_at(deadline, wait).await;
        self.state.borrow().clone().map(|_| ())
    }
}

struct Worker {
    directory: Directory,
    watches: Watches,
    state: watch::Sender<State>,
    /// What was reported last, so that it is reported once.
    problems: Vec<String>,
}

impl Worker {
    async fn run(mut self, mut requests: mpsc::Receiver<Look>, mut changes: mpsc::Receiver<()>) {
        loop {
            let rescan = if self.state.borrow().is_ok() { RESCAN_READY } else { RESCAN_NOT_READY };
            let mut waiting = Vec::new();
            tokio::select! {
                count = requests.recv_many(&mut waiting, QUEUE_MAX) => if count == 0 { return },
                Some(()) = changes.recv() => settle(&mut changes).await,
                () = tokio::time::sleep(rescan) => {}
            }
            self.look().await;
            for done in waiting.into_iter().flatten() {
                let _ = done.send(());
            }
        }
    }

    async fn look(&mut self) {
        self.watches.renew();
        let selection = self.directory.select().await;
        if selection.problems != self.problems {
            for problem in &selection.problems {
                tracing::warn!(problem, "a CNI configuration file is not used");
            }
            self.problems = selection.problems;
        }
        let state = match selection.network {
            Ok(network) => Ok(network),
            Err(error) => Err(NotReady { message: crio_types::chain(&error) }),
        };
        self.state.send_if_modified(|old| {
            let is_same = match (&state, &*old) {
                (Ok(new), Ok(old)) => *new == **old,
                (Err(new), Err(old)) => new == old,
                _ => false,
            };
            if is_same {
                return false;
            }
            match &state {
                Ok(network) => tracing::info!(
                    network = network.configuration.name,
                    file = %network.file.display(),
                    version = %network.version,
                    "pods are attached to this network"
                ),
                Err(error) => tracing::warn!(reason = error.message, "pods cannot be attached to a network"),
            }
            *old = state.clone().map(Arc::new);
            true
        });
    }
}

/// Waits until nothing changes for a moment.
async fn settle(changes: &mut mpsc::Receiver<()>) {
    let end = Instant::now() + SETTLE_MAX;
    loop {
        let quiet = end.min(Instant::now() + SETTLE);
        match tokio::time::timeout_at(quiet, changes.recv()).await {
            Ok(Some(())) if Instant::now() < end => {}
            _ => return,
        }
    }
}

/// Notifications about directories, which may come, go and be replaced.
struct Watches {
    directories: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    /// What is watched now: the directory that had this device and inode.
    watched: BTreeMap<PathBuf, (u64, u64)>,
}

impl Watches {
    fn new(directories: Vec<PathBuf>, changed: mpsc::Sender<()>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.as_ref().map_or(true, |event| is_change(event.kind)) {
                // A full queue means that a change is reported already.
                let _ = changed.try_send(());
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "changes of the CNI configuration are noticed late, because inotify is not available");
        }
        Self { directories, watcher: watcher.ok(), watched: BTreeMap::new() }
    }

    /// Watches what exists and is not watched, and drops what is gone.
    fn renew(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        for directory in &self.directories {
            let present = identity(directory);
            if present == self.watched.get(directory).copied() {
                continue;
            }
            if self.watched.remove(directory).is_some() {
                // The kernel has dropped the watch of a directory that is gone already.
                let _ = watcher.unwatch(directory);
            }
            if let Some(identity) = present {
                match watcher.watch(directory, RecursiveMode::NonRecursive) {
                    Ok(()) => {
                        self.watched.insert(directory.clone(), identity);
                    }
                    Err(error) => {
                        tracing::debug!(%error, directory = %directory.display(), "a directory cannot be watched");
                    }
                }
            }
        }
    }
}

fn identity(directory: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(directory).ok().filter(std::fs::Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}

/// Opening and reading are our own doing, and change nothing.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}
