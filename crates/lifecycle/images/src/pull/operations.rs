//! The pulls that are going on, and who waits for them.
//!
//! A pull is a task that belongs to this table and runs as long as somebody waits for it. Joining and leaving happen
//! under one lock, so a pull whose last waiter left is out of the table before anybody can join it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crio_image::Progress;
use crio_types::{Credentials, ImageId, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{LayerStatus, PullRequest, PullStatus};
use crate::error::PullError;

type Outcome = Result<ImageId, PullError>;

/// What makes two pulls one: never anything with different credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    image: String,
    runtime_handler: String,
    credentials: Option<Credentials>,
    namespace: String,
    auth_file: Option<PathBuf>,
}

impl Key {
    pub(crate) fn new(request: &PullRequest) -> Self {
        Self {
            image: request.spec.image.clone(),
            runtime_handler: request.spec.runtime_handler.clone(),
            credentials: request.credentials.clone(),
            namespace: request.namespace.clone(),
            auth_file: request.auth_file.clone(),
        }
    }
}

#[derive(Debug)]
struct Operation {
    /// Tells this pull from a later one of the same key.
    number: u64,
    started_at: Timestamp,
    waiters: usize,
    progress: Progress,
    cancel: CancellationToken,
    outcome: watch::Receiver<Option<Outcome>>,
}

#[derive(Debug, Default)]
struct Table {
    operations: HashMap<Key, Operation>,
    next_number: u64,
}

/// The pulls that are going on.
#[derive(Debug)]
pub(crate) struct Operations {
    table: Arc<Mutex<Table>>,
    tasks: TaskTracker,
    all: CancellationToken,
}

impl Drop for Operations {
    fn drop(&mut self) {
        self.all.cancel();
    }
}

impl Operations {
    pub(crate) fn new() -> Self {
        Self { table: Arc::default(), tasks: TaskTracker::new(), all: CancellationToken::new() }
    }

    /// Waits for the pull of `key`, which `start` begins if it is not going on. Dropping the future leaves it, and
    /// the pull ends when nobody is left.
    pub(crate) async fn join<F>(&self, key: Key, start: impl FnOnce(Progress) -> F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (mut outcome, waiter) = self.enter(key, start);
        let finished = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        finished.unwrap_or_else(|| Err(PullError::Lost { name: waiter.key.image.clone() }))
    }

    fn enter<F>(&self, key: Key, start: impl FnOnce(Progress) -> F) -> (watch::Receiver<Option<Outcome>>, Waiter)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut table = lock(&self.table);
        if let Some(operation) = table.operations.get_mut(&key) {
            operation.waiters += 1;
            let waiter = Waiter { table: Arc::clone(&self.table), number: operation.number, key };
            return (operation.outcome.clone(), waiter);
        }
        table.next_number += 1;
        let number = table.next_number;
        let progress = Progress::default();
        let cancel = self.all.child_token();
        let (sender, outcome) = watch::channel(None);
        let operation = Operation {
            number,
            started_at: Timestamp::now(),
            waiters: 1,
            progress: progress.clone(),
            cancel: cancel.clone(),
            outcome: outcome.clone(),
        };
        table.operations.insert(key.clone(), operation);
        drop(table);
        let ending = Ending { table: Arc::clone(&self.table), number, key: key.clone() };
        let run = start(progress);
        self.tasks.spawn(async move {
            let finished = tokio::select! {
                finished = run => finished,
                () = cancel.cancelled() => Err(PullError::Cancelled { name: ending.key.image.clone() }),
            };
            // Out of the table first: whoever asks after the outcome is known gets a new pull, which finds the image.
            drop(ending);
            let _ = sender.send(Some(finished));
        });
        let waiter = Waiter { table: Arc::clone(&self.table), number, key };
        (outcome, waiter)
    }

    /// The pulls as they stand.
    pub(crate) fn list(&self) -> Vec<PullStatus> {
        let table = lock(&self.table);
        let mut pulls: Vec<_> = table.operations.iter().map(|(key, operation)| status(key, operation)).collect();
        pulls.sort_by(|a, b| (a.started_at, &a.image).cmp(&(b.started_at, &b.image)));
        pulls
    }

    /// Cancels every pull and waits until each has ended.
    pub(crate) async fn shut_down(&self) {
        self.all.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn status(key: &Key, operation: &Operation) -> PullStatus {
    let layers = operation.progress.layers();
    PullStatus {
        image: key.image.clone(),
        started_at: operation.started_at,
        waiters: operation.waiters,
        layers: layers
            .iter()
            .map(|layer| LayerStatus {
                digest: layer.digest.to_string(),
                done_bytes: layer.done_bytes(),
                total_bytes: layer.total_bytes,
            })
            .collect(),
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One caller's interest in a pull.
struct Waiter {
    table: Arc<Mutex<Table>>,
    number: u64,
    key: Key,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        let Some(operation) = table.operations.get_mut(&self.key) else {
            return;
        };
        if operation.number != self.number {
            return;
        }
        operation.waiters -= 1;
        if operation.waiters == 0
            && let Some(operation) = table.operations.remove(&self.key)
        {
            operation.cancel.cancel();
        }
    }
}

/// Takes a pull out of the table when its task ends, also by a panic.
struct Ending {
    table: Arc<Mutex<Table>>,
    number: u64,
    key: Key,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        if table.operations.get(&self.key).is_some_and(|operation| operation.number == self.number) {
            table.operations.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests;
