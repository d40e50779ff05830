//! Events for those who watch instead of polling (CRI `GetContainerEvents`).
//!
//! Producers never wait. Every subscription reads from one channel that holds a bounded number of events; a subscriber that
//! falls further behind loses them, and gets the state of everything instead (`resync`): for each pod and container an event
//! that says what it is now, and for each that is gone its deletion. There is no silent hole.
//!
//! Invariant: the times of events grow, and an event's statuses were read after its time was taken. Taking the time and
//! sending happen under one lock, so the order in the channel is the order of the times.

mod resync;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use crio_types::{ContainerStatus, EventKind, SandboxId, SandboxStatus, Timestamp};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::PodError;
use crate::operation::lock;
use resync::Known;

/// How many events a slow subscriber may be behind before it gets the state of everything instead.
const BACKLOG: usize = 1000;
/// How many may watch at once; kubelet is one, each `crictl events` another.
const SUBSCRIBERS_MAX: usize = 64;

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
    /// All containers of the pod, those of its earlier sandboxes among them.
    pub containers: Vec<Arc<ContainerStatus>>,
}

/// A sandbox and its containers at one moment.
#[derive(Debug, Clone)]
pub(crate) struct PodState {
    pub(crate) sandbox: Arc<SandboxStatus>,
    pub(crate) containers: Vec<Arc<ContainerStatus>>,
}

/// Looks at everything there is.
pub(crate) type Look = Arc<dyn Fn() -> Vec<PodState> + Send + Sync>;

/// A subscription.
pub struct EventStream {
    events: Arc<Events>,
    receiver: broadcast::Receiver<Arc<ContainerEvent>>,
    look: Look,
    /// What the subscriber was told of last, or knows from before.
    known: BTreeMap<SandboxId, Known>,
    /// The rest of a resync.
    pending: VecDeque<Arc<ContainerEvent>>,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

impl EventStream {
    /// Waits for the next event; `None` when the daemon is shutting down.
    pub async fn next(&mut self) -> Option<Arc<ContainerEvent>> {
        let ended = self.events.ended.clone();
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(self.tell(event));
            }
            match ended.run_until_cancelled(self.receiver.recv()).await? {
                Ok(event) => return Some(self.tell(event)),
                Err(RecvError::Lagged(count)) => self.resync(count),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn tell(&mut self, event: Arc<ContainerEvent>) -> Arc<ContainerEvent> {
        Known::note(&mut self.known, &event);
        event
    }

    /// Goes on from now, with the state of everything first. What happens meanwhile comes after it: nobody sends before the
    /// lock is free.
    fn resync(&mut self, missed: u64) {
        let mut last = lock(&self.events.last);
        self.receiver = self.events.sender.subscribe();
        let mut time = || next_time(&mut last);
        self.pending = resync::events(&self.known, &(self.look)(), &mut time).into_iter().map(Arc::new).collect();
        tracing::warn!(
            missed,
            told = self.pending.len(),
            "a client reads events too slowly and is told the state anew"
        );
    }
}

/// The producing end.
#[derive(Debug)]
pub(crate) struct Events {
    sender: broadcast::Sender<Arc<ContainerEvent>>,
    /// The time of the last event.
    last: Mutex<Timestamp>,
    ended: CancellationToken,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self::with_backlog(BACKLOG)
    }

    fn with_backlog(backlog: usize) -> Self {
        Self {
            sender: broadcast::Sender::new(backlog),
            last: Mutex::new(Timestamp::NEVER),
            ended: CancellationToken::new(),
        }
    }

    /// What happens from now on. The subscriber is taken to know what there is.
    ///
    /// # Errors
    /// Too many watch already.
    pub(crate) fn subscribe(self: &Arc<Self>, look: Look) -> Result<EventStream, PodError> {
        let _no_event_meanwhile = lock(&self.last);
        if self.sender.receiver_count() >= SUBSCRIBERS_MAX {
            return Err(PodError::LimitReached { what: format!("{SUBSCRIBERS_MAX} clients that watch events") });
        }
        let receiver = self.sender.subscribe();
        let known = look().iter().map(Known::of).collect();
        Ok(EventStream { events: Arc::clone(self), receiver, look, known, pending: VecDeque::new() })
    }

    /// Ends all subscriptions, those of now and those to come.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }

    /// Publishes an event, which `event` makes for its time; without subscribers it costs nothing. What the event tells of has
    /// to be true already, so that a subscription that begins meanwhile knows of it.
    pub(crate) fn publish(&self, event: impl FnOnce(Timestamp) -> ContainerEvent) {
        if self.sender.receiver_count() > 0 {
            let mut last = lock(&self.last);
            let event = event(next_time(&mut last));
            // A failure only means that the last subscriber just left.
            let _unheard = self.sender.send(Arc::new(event));
        }
    }
}

/// Now, and later than every time before, whatever the clock does.
fn next_time(last: &mut Timestamp) -> Timestamp {
    *last = Timestamp::now().max(Timestamp(last.0 + 1));
    *last
}

#[cfg(test)]
mod tests;
