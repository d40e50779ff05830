//! URLs that nobody uses.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tonic::Code;

use crate::client::{command, head};
use crate::{Door, Scene};

const ASKED: usize = 10_000;
const OUTSTANDING: usize = 1_000;
/// For how long a URL is good.
const VALID: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_urls_are_asked_for_and_none_is_used() -> Result<()> {
    let scene = Scene::set().await?;
    let mut urls = Vec::new();
    let mut refused = 0;
    for _ in 0..ASKED {
        // Each with a request of its own to be kept.
        let script = format!("echo {}; {}", urls.len(), "true; ".repeat(200));
        match scene.stage.cri.runtime().exec(command(&scene.container, &script)).await {
            Ok(answer) => urls.push(answer.into_inner().url),
            Err(status) => {
                ensure!(status.code() == Code::ResourceExhausted, "{status:?}");
                refused += 1;
            }
        }
    }
    let last_issued = tokio::time::Instant::now();
    // Those of the warm-up are used up; the first few of ours may be over if the machine is slow.
    ensure!((OUTSTANDING..OUTSTANDING * 2).contains(&urls.len()), "{} of {ASKED}", urls.len());
    ensure!(refused > 0 && urls.len() + refused == ASKED);
    let distinct: std::collections::BTreeSet<&String> = urls.iter().collect();
    ensure!(distinct.len() == urls.len(), "a URL was given out twice");

    tokio::time::sleep_until(last_issued + VALID + Duration::from_secs(1)).await;
    for url in [&urls[0], &urls[urls.len() - 1]] {
        let door = Door::of(url, "v4.channel.k8s.io")?;
        let mut stream = door.connect().await?;
        stream.write_all(door.spdy_request().as_bytes()).await?;
        let head = head(&mut stream).await?;
        ensure!(head.starts_with("HTTP/1.1 404 "), "an old URL: {head}");
    }
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_good_once() -> Result<()> {
    let scene = Scene::set().await?;
    let door = scene.door("echo once").await?;
    door.says("once\n").await?;
    for _ in 0..3 {
        let mut stream = door.connect().await?;
        stream.write_all(door.spdy_request().as_bytes()).await?;
        let head = head(&mut stream).await?;
        ensure!(head.starts_with("HTTP/1.1 404 "), "{head}");
    }
    scene.close().await
}
