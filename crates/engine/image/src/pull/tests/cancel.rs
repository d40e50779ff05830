//! Pulls that are given up, and pulls that meet.

use super::fake::{Reply, Stop};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_pull_leaves_nothing() {
    let image = TestImage::sized(4, 300 << 10);
    let registry = FakeRegistry::start().await;
    registry.serve(&image);
    let last = image.blobs[3].clone();
    registry.rule(move |seen| {
        let is_last = seen.path.ends_with(&Digest::of(&last).to_string());
        is_last.then(|| Reply::ok(last.clone()).stopping(last.len() / 2, Stop::Stall))
    });
    let (puller, _directory) = puller(&insecure(&[registry.host()]));
    let request = request(&format!("{}/app:1", registry.host()));
    for wait_ms in [0, 1, 5, 20, 100, 200] {
        let progress = Progress::default();
        let pull = puller.pull(&request, &progress);
        let given_up = tokio::time::timeout(Duration::from_millis(wait_ms), pull).await;
        assert!(given_up.is_err(), "after {wait_ms} ms");
        puller.sink().assert_untouched().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_of_one_image_share_its_layers() {
    let image = TestImage::sized(3, 300 << 10);
    let registry = FakeRegistry::start().await;
    registry.serve(&image);
    let (puller, _directory) = puller(&insecure(&[registry.host()]));
    let mut pulls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (puller, request) = (puller.clone(), request(&format!("{}/app:1", registry.host())));
        pulls.spawn(async move { puller.pull(&request, &Progress::default()).await.map(drop) });
    }
    while let Some(pulled) = pulls.join_next().await {
        pulled.unwrap().unwrap();
    }
    assert_eq!(puller.sink().layers(), image.tars);
    for blob in &image.blobs {
        assert_eq!(registry.count(&Digest::of(blob).to_string()), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_layer_survives_the_pull_that_began_it() {
    let image = TestImage::sized(2, 300 << 10);
    let registry = FakeRegistry::start().await;
    registry.serve(&image);
    let first = image.blobs[0].clone();
    let mut stalls = 1;
    registry.rule(move |seen| {
        let is_first = seen.path.ends_with(&Digest::of(&first).to_string());
        (is_first && std::mem::replace(&mut stalls, 0) == 1)
            .then(|| Reply::ok(first.clone()).stopping(first.len() / 2, Stop::Stall))
    });
    let (puller, _directory) = puller(&insecure(&[registry.host()]));
    let request = request(&format!("{}/app:1", registry.host()));
    let beginner = tokio::spawn({
        let (puller, request) = (puller.clone(), request.clone());
        async move { puller.pull(&request, &Progress::default()).await.map(drop) }
    });
    while registry.count("/blobs/") < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let joiner = tokio::spawn({
        let (puller, request) = (puller.clone(), request.clone());
        async move { puller.pull(&request, &Progress::default()).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    beginner.abort();
    joiner.await.unwrap().unwrap();
    assert_eq!(puller.sink().layers(), image.tars);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_can_be_read_on_the_way() {
    let image = TestImage::sized(2, 300 << 10);
    let registry = FakeRegistry::start().await;
    registry.serve(&image);
    let (puller, _directory) = puller(&insecure(&[registry.host()]));
    let progress = Progress::default();
    assert!(progress.layers().is_empty());
    puller.pull(&request(&format!("{}/app:1", registry.host())), &progress).await.unwrap();
    let layers = progress.layers();
    assert_eq!(layers.len(), 2);
    for (layer, blob) in layers.iter().zip(&image.blobs) {
        assert_eq!((layer.done_bytes(), layer.total_bytes), (blob.len() as u64, blob.len() as u64));
    }
    assert!(progress.activity() > 2);
}
