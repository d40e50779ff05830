//! Operations that outlive the call that began them, and that a repeated call joins.
//!
//! An operation is known by a key (a name or an id). The first call starts it as a task of its own; every later call
//! with the same key and the same request waits for that task and gets its result; a call with another request is
//! refused. When the client goes away the task goes on, so a retry finds the work done instead of a reserved name.
//! Invariant: an entry is in the table exactly while its task runs.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio_util::task::TaskTracker;

use crate::{Outcome, PodError};

/// How many operations of one kind may run at once.
const MAX_RUNNING: usize = 1024;

/// The running operations of one kind: `R` is the request they were begun with, `T` what they yield.
#[derive(Debug)]
pub(crate) struct Operations<R, T: Clone> {
    name: &'static str,
    tasks: TaskTracker,
    running: Arc<Running<R, T>>,
}

type Running<R, T> = Mutex<HashMap<String, Entry<R, T>>>;

#[derive(Debug)]
struct Entry<R, T: Clone> {
    request: R,
    result: Shared<BoxFuture<'static, Outcome<T>>>,
}

/// Takes the entry out of the table when the task ends, however it ends.
struct Finished<R, T: Clone> {
    key: String,
    running: Arc<Running<R, T>>,
}

impl<R, T: Clone> Drop for Finished<R, T> {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.key);
    }
}

impl<R, T> Operations<R, T>
where
    R: PartialEq + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// No operation runs yet. `name` is the word for errors; `tasks` owns every task that will be started.
    pub(crate) fn new(name: &'static str, tasks: TaskTracker) -> Self {
        Self { name, tasks, running: Arc::default() }
    }

    /// Joins the operation with this key, or starts `work` as one.
    ///
    /// # Errors
    /// What the operation failed with; [`PodError::NameTaken`] when it runs for another request;
    /// [`PodError::LimitReached`] when too many run; [`PodError::Interrupted`] when its task died.
    pub(crate) async fn join<F>(&self, key: &str, request: R, work: impl FnOnce() -> F + Send) -> Outcome<T>
    where
        F: Future<Output = Result<T, PodError>> + Send + 'static,
    {
        let result = self.entry(key, request, work)?;
        result.await
    }

    fn entry<F>(
        &self,
        key: &str,
        request: R,
        work: impl FnOnce() -> F,
    ) -> Outcome<Shared<BoxFuture<'static, Outcome<T>>>>
    where
        F: Future<Output = Result<T, PodError>> + Send + 'static,
    {
        let mut running = lock(&self.running);
        if let Some(entry) = running.get(key) {
            if entry.request == request {
                return Ok(entry.result.clone());
            }
            let owner = format!("a running {}", self.name);
            return Err(Arc::new(PodError::NameTaken { name: key.to_owned(), owner }));
        }
        if running.len() >= MAX_RUNNING {
            let what = format!("{MAX_RUNNING} operations of kind {}", self.name);
            return Err(Arc::new(PodError::LimitReached { what }));
        }
        let result = self.start(key, work());
        running.insert(key.to_owned(), Entry { request, result: result.clone() });
        Ok(result)
    }

    /// Starts the task. The caller holds the table, so the task cannot take its entry out before it is in.
    fn start<F>(&self, key: &str, work: F) -> Shared<BoxFuture<'static, Outcome<T>>>
    where
        F: Future<Output = Result<T, PodError>> + Send + 'static,
    {
        let finished = Finished { key: key.to_owned(), running: Arc::clone(&self.running) };
        let task = self.tasks.spawn(async move {
            let outcome = work.await.map_err(Arc::new);
            drop(finished);
            outcome
        });
        let operation = self.name;
        async move { task.await.unwrap_or_else(|_| Err(Arc::new(PodError::Interrupted { operation }))) }
            .boxed()
            .shared()
    }
}

/// A panic elsewhere must not spread through a table whose every critical section leaves it whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    fn operations() -> Operations<&'static str, u32> {
        Operations::new("test", TaskTracker::new())
    }

    #[tokio::test]
    async fn a_repeated_call_joins_and_gets_the_same_result() {
        let operations = operations();
        let runs = Arc::new(AtomicU32::new(0));
        let (go, wait) = oneshot::channel::<()>();
        let count = Arc::clone(&runs);
        let first = operations.join("name", "request", move || async move {
            count.fetch_add(1, Ordering::SeqCst);
            wait.await.ok();
            Ok(7)
        });
        let second = operations.join("name", "request", || async { Ok(8) });
        let (first, second, ()) = tokio::join!(first, second, async { go.send(()).expect("first runs") });
        assert_eq!((first.expect("first"), second.expect("second")), (7, 7));
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn the_operation_outlives_its_caller() {
        let operations = operations();
        let (go, wait) = oneshot::channel::<()>();
        {
            let abandoned = operations.join("name", "request", move || async move {
                wait.await.ok();
                Ok(7)
            });
            let waited = tokio::time::timeout(std::time::Duration::from_millis(10), abandoned).await;
            assert!(waited.is_err(), "the caller gave up first");
        }
        let retry = operations.join("name", "request", || async { Ok(8) });
        let (retry, ()) = tokio::join!(retry, async { go.send(()).expect("still runs") });
        assert_eq!(retry.expect("joined"), 7);
    }

    #[tokio::test]
    async fn another_request_for_the_same_name_is_refused() {
        let operations = operations();
        let (_go, wait) = oneshot::channel::<()>();
        let first = operations.join("name", "one", move || async move {
            wait.await.ok();
            Ok(1)
        });
        let second = operations.join("name", "two", || async { Ok(2) });
        tokio::select! {
            biased;
            _ = first => panic!("first must still wait"),
            refused = second => {
                assert!(matches!(*refused.expect_err("refused"), PodError::NameTaken { .. }));
            }
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_frees_the_name() {
        let operations = operations();
        let died = operations.join("name", "request", || async { panic!("on purpose") }).await;
        assert!(matches!(*died.expect_err("died"), PodError::Interrupted { .. }));
        assert_eq!(operations.join("name", "request", || async { Ok(2) }).await.expect("free again"), 2);
    }
}
