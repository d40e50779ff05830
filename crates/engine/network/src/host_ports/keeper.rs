//! The one owner of the host port rules.
//!
//! A task holds what every pod needs; callers send it changes and get an answer when the kernel has them. Changes that
//! wait are made together, by one run of `nft`. What a failed run should have changed is forgotten, and the kernel is
//! as it was, because the table is replaced in one transaction.
//!
//! Of two pods that claim the same host port the later one has it, and when it goes the earlier one has it again: the
//! order of the list below is the order of arrival.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use crio_types::{Classified, ErrorKind, SandboxId};
use tokio::sync::{mpsc, oneshot};

use super::localnet::{self, LocalNet};
use super::monitor::Monitor;
use super::nft::{self, NftError};
use super::{Forward, conntrack, ruleset};
use crate::namespaces::joined;
use crate::task::OwnedTask;

/// Changes that may wait; a caller beyond waits for room.
const QUEUE_MAX: usize = 256;

/// Host ports could not be set; none of them changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HostPortError {
    /// The packet filter could not be changed.
    #[error("cannot set the host ports")]
    Filter {
        /// What went wrong, for all changes that were made together.
        source: Arc<NftError>,
    },
    /// Connections from 127.0.0.1 could not be let through.
    #[error("cannot route connections from 127.0.0.1 to host ports")]
    LocalNet {
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// The engine is shutting down.
    #[error("host ports are not kept any more")]
    Stopped,
}

impl Classified for HostPortError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Stopped => ErrorKind::Unavailable,
            Self::Filter { .. } | Self::LocalNet { .. } => ErrorKind::Internal,
        }
    }
}

/// What each pod needs, in order of arrival.
type Pods = Vec<(SandboxId, Vec<Forward>)>;

enum Change {
    Set(SandboxId, Vec<Forward>),
    Remove(SandboxId),
    Replace(Pods),
}

struct Request {
    change: Change,
    done: oneshot::Sender<Result<(), HostPortError>>,
}

/// Sends changes to the task, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    requests: mpsc::Sender<Request>,
    _task: OwnedTask,
}

impl Keeper {
    /// Starts the task. It touches nothing before the first change.
    pub(crate) fn start(table: &str) -> Self {
        let (requests, receiver) = mpsc::channel(QUEUE_MAX);
        let rules = Rules { table: table.to_owned(), pods: Pods::new(), opened: None, monitor: None };
        Self { requests, _task: OwnedTask::spawn(rules.run(receiver)) }
    }

    /// Opens the host ports of a pod, replacing those it had.
    pub(crate) async fn set(&self, pod: &SandboxId, forwards: Vec<Forward>) -> Result<(), HostPortError> {
        self.send(Change::Set(pod.clone(), forwards)).await
    }

    /// Closes the host ports of a pod, if it has any.
    pub(crate) async fn remove(&self, pod: &SandboxId) -> Result<(), HostPortError> {
        self.send(Change::Remove(pod.clone())).await
    }

    /// Opens the host ports of these pods and closes all others, also those of an earlier daemon.
    pub(crate) async fn replace(&self, pods: Pods) -> Result<(), HostPortError> {
        self.send(Change::Replace(pods)).await
    }

    async fn send(&self, change: Change) -> Result<(), HostPortError> {
        let (done, answer) = oneshot::channel();
        let request = Request { change, done };
        self.requests.send(request).await.map_err(|_| HostPortError::Stopped)?;
        answer.await.unwrap_or(Err(HostPortError::Stopped))
    }
}

/// The state of the task.
struct Rules {
    table: String,
    pods: Pods,
    /// Links on which we let 127.0.0.0/8 through; `None` until the kernel was asked what an earlier daemon opened.
    opened: Option<BTreeSet<String>>,
    /// Present while there are rules.
    monitor: Option<Monitor>,
}

impl Rules {
    async fn run(mut self, mut receiver: mpsc::Receiver<Request>) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                received = receiver.recv_many(&mut batch, QUEUE_MAX) => {
                    if received == 0 {
                        return;
                    }
                    self.serve(&mut batch).await;
                }
                result = removed(&mut self.monitor) => self.repair(result).await,
            }
        }
    }

    async fn serve(&mut self, batch: &mut Vec<Request>) {
        let mut pods = self.pods.clone();
        let mut is_forced = false;
        for request in batch.iter() {
            match &request.change {
                Change::Set(pod, forwards) => {
                    pods.retain(|(id, _)| id != pod);
                    if !forwards.is_empty() {
                        pods.push((pod.clone(), forwards.clone()));
                    }
                }
                Change::Remove(pod) => pods.retain(|(id, _)| id != pod),
                Change::Replace(all) => {
                    pods.clone_from(all);
                    pods.retain(|(_, forwards)| !forwards.is_empty());
                    is_forced = true;
                }
            }
        }
        let result = if is_forced || pods != self.pods { self.apply(pods).await } else { Ok(()) };
        for request in batch.drain(..) {
            // A caller that went away does not need the answer.
            let _ = request.done.send(result.clone());
        }
    }

    async fn apply(&mut self, pods: Pods) -> Result<(), HostPortError> {
        let mut opened = match self.opened.take() {
            Some(opened) => opened,
            None => match nft::localnet_links(&self.table).await {
                Ok(links) => links,
                // Without the program there are no rules to remove either.
                Err(error) if pods.is_empty() && error.is_not_installed() => return Ok(()),
                Err(error) => return Err(filter_error(error)),
            },
        };
        let result = if pods.is_empty() { self.close(&mut opened).await } else { self.open(&pods, &mut opened).await };
        self.opened = Some(opened);
        if result.is_ok() {
            self.pods = pods;
        }
        result
    }

    /// Rules first, then the links, so that no link is open without its guard.
    async fn open(&mut self, pods: &Pods, opened: &mut BTreeSet<String>) -> Result<(), HostPortError> {
        let targets: Vec<IpAddr> = forwards_of(pods).map(|forward| forward.target.ip()).collect();
        let links = blocking(move || localnet::closed_links(&targets)).await?;
        opened.extend(links.iter().cloned());
        self.monitor = self.monitor.take().or_else(|| Monitor::new(&self.table).ok());
        let script = ruleset::replace(&self.table, forwards_of(pods), opened);
        nft::apply(&script).await.map_err(filter_error)?;
        if self.monitor.as_mut().map_or(0, Monitor::drain) > 1 {
            // Somebody removed the table in the same moment.
            nft::apply(&script).await.map_err(filter_error)?;
        }
        blocking(move || localnet::switch(&links, LocalNet::Routed)).await?;
        self.forget_flows(pods).await;
        Ok(())
    }

    /// Lets go of UDP flows to ports that are new. The rules hold without it, so a failure is only told.
    async fn forget_flows(&self, pods: &Pods) {
        let new: Vec<Forward> =
            forwards_of(pods).filter(|forward| !forwards_of(&self.pods).any(|old| old == *forward)).cloned().collect();
        if let Err(error) = joined(tokio::task::spawn_blocking(move || conntrack::forget(&new)).await) {
            tracing::warn!(%error, "UDP flows to new host ports may still lead to where they led before");
        }
    }

    /// Links first, then the rules.
    async fn close(&mut self, opened: &mut BTreeSet<String>) -> Result<(), HostPortError> {
        let links = opened.clone();
        blocking(move || localnet::switch(&links, LocalNet::Refused)).await?;
        self.monitor = None;
        nft::apply(&ruleset::remove(&self.table)).await.map_err(filter_error)?;
        opened.clear();
        Ok(())
    }

    /// Sets the rules again when somebody removed them.
    async fn repair(&mut self, result: std::io::Result<()>) {
        if let Err(error) = result {
            tracing::warn!(%error, "changes of the packet filter are not noticed any more");
            self.monitor = None;
            return;
        }
        // An announcement may be late or lost, so the table itself decides; without this, two owners of one table
        // could replace it in turns for ever.
        if matches!(nft::exists(&self.table).await, Ok(true)) {
            return;
        }
        match self.apply(self.pods.clone()).await {
            Ok(()) => {
                tracing::info!(table = self.table, "the host port rules were removed by somebody and are set again");
            }
            Err(error) => {
                let error = crio_types::chain(&error);
                tracing::error!(
                    table = self.table,
                    error,
                    "the host port rules were removed by somebody and cannot be set"
                );
            }
        }
    }
}

fn forwards_of(pods: &Pods) -> impl Iterator<Item = &Forward> {
    pods.iter().flat_map(|(_, forwards)| forwards)
}

/// Waits for the monitor, for ever without one.
async fn removed(monitor: &mut Option<Monitor>) -> std::io::Result<()> {
    match monitor {
        Some(monitor) => monitor.removed().await,
        None => std::future::pending().await,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, HostPortError> {
    joined(tokio::task::spawn_blocking(work).await)
        .map_err(|source| HostPortError::LocalNet { source: Arc::new(source) })
}

fn filter_error(source: NftError) -> HostPortError {
    HostPortError::Filter { source: Arc::new(source) }
}
