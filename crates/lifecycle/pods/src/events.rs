//! Events for those who watch instead of polling (CRI `GetContainerEvents`).
//!
//! Producers never wait: the channel holds a bounded number of events, and a subscriber that falls behind is told
//! how many it missed, so that it can list again.

use std::sync::Arc;

use crio_types::{ContainerStatus, EventKind, SandboxStatus, Timestamp};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// How many events a slow subscriber may be behind before it misses some.
const BACKLOG: usize = 1000;

/// Something that happened to a container, or to a sandbox when `container_id` is the sandbox's.
#[derive(Debug, Clone)]
pub struct ContainerEvent {
    /// The container's id, or the sandbox's.
    pub container_id: String,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub created_at: Timestamp,
    /// The sandbox, at least as new as the event.
    pub sandbox: Arc<SandboxStatus>,
    /// All its containers.
    pub containers: Vec<Arc<ContainerStatus>>,
}

/// A subscription.
#[derive(Debug)]
pub struct EventStream {
    events: broadcast::Receiver<Arc<ContainerEvent>>,
    ended: CancellationToken,
}

/// What a subscription yields.
#[derive(Debug, Clone)]
pub enum Watched {
    /// The next event.
    Event(Arc<ContainerEvent>),
    /// This many events were missed: list again.
    Missed(u64),
    /// The daemon is shutting down.
    Closed,
}

impl EventStream {
    /// Waits for the next event.
    pub async fn next(&mut self) -> Watched {
        let Some(received) = self.ended.run_until_cancelled(self.events.recv()).await else { return Watched::Closed };
        match received {
            Ok(event) => Watched::Event(event),
            Err(broadcast::error::RecvError::Lagged(count)) => Watched::Missed(count),
            Err(broadcast::error::RecvError::Closed) => Watched::Closed,
        }
    }
}

/// The producing end.
#[derive(Debug)]
pub(crate) struct Events {
    sender: broadcast::Sender<Arc<ContainerEvent>>,
    ended: CancellationToken,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG), ended: CancellationToken::new() }
    }

    pub(crate) fn subscribe(&self) -> EventStream {
        EventStream { events: self.sender.subscribe(), ended: self.ended.clone() }
    }

    /// Ends all subscriptions, those of now and those to come.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }

    /// Publishes an event; without subscribers it costs nothing.
    pub(crate) fn publish(&self, event: impl FnOnce() -> ContainerEvent) {
        if self.sender.receiver_count() > 0 {
            // A failure only means that the last subscriber just left.
            let _unheard = self.sender.send(Arc::new(event()));
        }
    }
}
