//! Registries that fail, but honestly.

use std::collections::HashSet;

use super::fake::{Reply, Stop};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_breaks_off_is_resumed() {
    for ranged in [true, false] {
        let image = TestImage::sized(2, 600 << 10);
        let registry = FakeRegistry::start().await;
        registry.serve(&image);
        let (blobs, mut seen) = (image.clone(), HashSet::new());
        registry.rule(move |request| {
            let blob = blobs.blobs.iter().find(|blob| request.path.ends_with(&Digest::of(blob).to_string()))?;
            let reply = Reply { ranged, ..Reply::ok(blob.clone()) };
            let is_first = seen.insert(request.path.clone());
            Some(if is_first { reply.stopping(blob.len() / 2, Stop::Close) } else { reply })
        });
        let (pulled, puller) = pull_from(&registry, "app:1").await;
        pulled.unwrap();
        assert_eq!(puller.sink().layers(), image.tars);
        let resumed = registry.requests().iter().filter(|seen| seen.header("range").is_some()).count();
        assert_eq!(resumed, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_always_breaks_off_is_given_up() {
    for (stop, words) in [(Stop::Close, "cannot reach"), (Stop::Stall, "sent nothing")] {
        let image = TestImage::layers(1);
        let registry = FakeRegistry::start().await;
        registry.serve(&image);
        let blob = image.blobs[0].clone();
        // Each resumption brings nothing new.
        registry.rule(move |request| {
            let wanted = request.path.ends_with(&Digest::of(&blob).to_string());
            wanted.then(|| Reply { ranged: false, ..Reply::ok(blob.clone()) }.stopping(1000, stop))
        });
        let (kind, text) = refused(&registry).await;
        assert_eq!(kind, ErrorKind::Unknown);
        assert!(text.starts_with("RegistryUnavailable: ") && text.contains(words), "{text}");
        assert!(registry.count("/blobs/") <= 7, "{}", registry.count("/blobs/"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_failures_are_waited_out() {
    let image = TestImage::layers(3);
    let registry = FakeRegistry::start().await;
    registry.serve(&image);
    let mut failed = HashSet::new();
    let mut status = [503, 429, 500, 502].into_iter().cycle();
    registry.rule(move |request| {
        let reply = Reply::status(status.next()?).with("Retry-After", "0");
        failed.insert(request.path.clone()).then_some(reply)
    });
    let (pulled, _) = pull_from(&registry, "app:1").await;
    pulled.unwrap();
    assert_eq!(registry.requests().len(), 2 * (1 + 1 + 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn lasting_failures_are_not_hammered() {
    for (status, retry_after, most, prefix) in [
        (503, "0", 5, "RegistryUnavailable: "),
        (429, "0", 5, "RegistryUnavailable: "),
        (503, "3600", 1, "RegistryUnavailable: "),
        (501, "0", 1, "RegistryUnavailable: "),
        (400, "0", 1, "pulling "),
    ] {
        let registry = FakeRegistry::start().await;
        registry.rule(move |_| Some(Reply::status(status).with("Retry-After", retry_after)));
        let (_, text) = refused(&registry).await;
        assert!(text.starts_with(prefix), "{text}");
        assert_eq!(registry.requests().len(), most, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends() {
    for (part, after) in [("/manifests/", 0), ("/manifests/", 5), ("/blobs/", 0), ("/blobs/", 5)] {
        let image = TestImage::layers(2);
        let registry = FakeRegistry::start().await;
        registry.serve(&image);
        registry.rule(move |request| {
            request.path.contains(part).then(|| Reply::ok("x".repeat(100)).stopping(after, Stop::Stall))
        });
        let started = std::time::Instant::now();
        let (_, text) = refused(&registry).await;
        assert!(text.starts_with("RegistryUnavailable: "), "{text}");
        assert!(started.elapsed() < Duration::from_secs(5), "{part} {after}: {:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_come_first_and_failures_pass_on() {
    let image = TestImage::layers(2);
    let (broken, empty, origin) =
        (FakeRegistry::start().await, FakeRegistry::start().await, FakeRegistry::start().await);
    broken.serve(&image);
    let bad = image.blobs[1].clone();
    broken.put(&format!("blobs/{}", Digest::of(&bad)), Reply::ok(vec![0; bad.len()]));
    origin.serve(&image);
    let mirror = |host: &str| format!("[[registry.mirror]]\nlocation = \"{host}\"\ninsecure = true\n");
    let config = format!(
        "[[registry]]\nprefix = \"example.org\"\nlocation = \"{}\"\ninsecure = true\n{}{}",
        origin.host(),
        mirror(broken.host()),
        mirror(empty.host())
    );
    let (puller, _directory) = puller(&config);
    let pulled = puller.pull(&request("example.org/app:1"), &Progress::default()).await.unwrap();
    assert_eq!(pulled.reference.to_string(), "example.org/app:1");
    assert_eq!(puller.sink().layers(), image.tars);
    assert!(broken.count("/blobs/") > 0 && empty.count("/manifests/") == 1 && origin.count("/blobs/") > 0);

    origin.rule(|_| Some(Reply::status(404)));
    let error = puller.pull(&request("example.org/app:2"), &Progress::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = chain(&error);
    assert!(text.starts_with("manifest unknown: example.org/app:2 as ") && text.contains(empty.host()), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_rolled_back() {
    let image = TestImage::layers(3);
    let registry = FakeRegistry::start().await;
    registry.serve(&image);
    let (puller, _directory) = puller(&insecure(&[registry.host()]));
    puller.sink().full.store(true, std::sync::atomic::Ordering::SeqCst);
    let name = request(&format!("{}/app:1", registry.host()));
    let error = puller.pull(&name, &Progress::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    puller.sink().assert_untouched().await;
    puller.sink().full.store(false, std::sync::atomic::Ordering::SeqCst);
    puller.pull(&name, &Progress::default()).await.unwrap();
}
