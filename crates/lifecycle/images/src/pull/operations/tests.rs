//! Joining, leaving and ending of pulls, with transfers that wait for a word.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::*;

fn key(image: &str, password: &str) -> Key {
    Key {
        image: image.to_owned(),
        runtime_handler: String::new(),
        credentials: Some(Credentials::Basic { username: "u".to_owned(), password: password.to_owned() }),
        namespace: String::new(),
        auth_file: None,
    }
}

#[derive(Clone, Default)]
struct Fake {
    started: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    go: Arc<Notify>,
}

impl Fake {
    fn run(&self) -> impl Future<Output = Outcome> + Send + 'static + use<> {
        struct OnDrop(Arc<AtomicUsize>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let fake = self.clone();
        async move {
            fake.started.fetch_add(1, Ordering::SeqCst);
            let _dropped = OnDrop(Arc::clone(&fake.dropped));
            fake.go.notified().await;
            Ok(ImageId::from_bytes([1; 32]))
        }
    }
}

async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("the condition was not met");
}

#[tokio::test]
async fn identical_pulls_are_one() {
    let operations = Arc::new(Operations::new());
    let fake = Fake::default();
    let callers: Vec<_> = ["a", "a", "b"]
        .into_iter()
        .map(|password| {
            let (operations, fake) = (Arc::clone(&operations), fake.clone());
            tokio::spawn(async move { operations.join(key("x", password), |_| fake.run()).await })
        })
        .collect();
    until(|| operations.list().iter().map(|pull| pull.waiters).sum::<usize>() == 3).await;
    until(|| fake.started.load(Ordering::SeqCst) == 2).await;
    let mut waiters: Vec<_> = operations.list().iter().map(|pull| pull.waiters).collect();
    waiters.sort_unstable();
    assert_eq!(waiters, [1, 2]);
    fake.go.notify_waiters();
    for caller in callers {
        assert!(caller.await.unwrap().is_ok());
    }
    assert!(operations.list().is_empty());
}

#[tokio::test]
async fn a_pull_ends_with_its_last_waiter() {
    let operations = Arc::new(Operations::new());
    let fake = Fake::default();
    let spawn = || {
        let (operations, fake) = (Arc::clone(&operations), fake.clone());
        tokio::spawn(async move { operations.join(key("x", "a"), |_| fake.run()).await })
    };
    let (first, second) = (spawn(), spawn());
    until(|| operations.list().first().is_some_and(|pull| pull.waiters == 2)).await;
    first.abort();
    until(|| operations.list().first().is_some_and(|pull| pull.waiters == 1)).await;
    assert_eq!(fake.dropped.load(Ordering::SeqCst), 0);
    second.abort();
    until(|| operations.list().is_empty()).await;
    until(|| fake.dropped.load(Ordering::SeqCst) == 1).await;
    let third = spawn();
    until(|| fake.started.load(Ordering::SeqCst) == 2).await;
    fake.go.notify_waiters();
    assert!(third.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_panic_is_an_error_and_not_a_hang() {
    let operations = Operations::new();
    let outcome = operations.join(key("x", "a"), |_| async { panic!("on purpose") }).await;
    assert!(matches!(outcome, Err(PullError::Lost { .. })));
    assert!(operations.list().is_empty());
}

#[tokio::test]
async fn shutting_down_cancels() {
    let operations = Arc::new(Operations::new());
    let fake = Fake::default();
    let caller = {
        let (operations, fake) = (Arc::clone(&operations), fake.clone());
        tokio::spawn(async move { operations.join(key("x", "a"), |_| fake.run()).await })
    };
    until(|| fake.started.load(Ordering::SeqCst) == 1).await;
    operations.shut_down().await;
    assert!(matches!(caller.await.unwrap(), Err(PullError::Cancelled { .. })));
}
