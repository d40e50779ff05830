//! A good session whose connection breaks at every byte.

use anyhow::{Context as _, Result};
use crio_testkit::spdy::{FIN, Wire, data, go_away, ping};
use crio_tests::until;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use crate::client::break_off;
use crate::{Door, Scene};

/// Sessions at once: the machine has few processors, and each runs a command.
const AT_ONCE: usize = 8;

/// Says a part of what a client has to say, at once or switched first, and breaks off.
async fn broken(door: Door, request: String, frames: Vec<u8>, at: usize) -> Result<()> {
    if at < request.len() {
        let mut stream = door.connect().await?;
        stream.write_all(&request.as_bytes()[..at]).await?;
        return break_off(stream);
    }
    let mut stream = door.switch(&request).await?;
    stream.write_all(&frames[..at - request.len()]).await?;
    // For the server to have read them: a reset takes with it what was not.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    break_off(stream)
}

async fn at_every_byte(scene: &Scene, forward: Option<&str>, frames: &[u8]) -> Result<()> {
    let mut running = JoinSet::new();
    let mut at = 0;
    loop {
        let door = match forward {
            Some(pod) => Door::forward(&scene.stage, pod).await?,
            None => scene.door("echo some output; sleep 4242").await?,
        };
        let request = door.spdy_request();
        if at > request.len() + frames.len() {
            break;
        }
        // Within the request every eleventh byte is enough: nothing begins before its end.
        let step = if at + 11 < request.len() { 11 } else { 1 };
        running.spawn(broken(door, request, frames.to_vec(), at));
        at += step;
        while running.len() >= AT_ONCE {
            running.join_next().await.context("there are some")???;
        }
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_breaks_off_at_every_byte() -> Result<()> {
    let scene = Scene::set().await?;
    let mut wire = Wire::default();
    let frames = [
        wire.syn_stream(1, &[("streamtype", "error")]),
        wire.syn_stream(3, &[("streamtype", "stdout")]),
        ping(1),
        data(1, FIN, b""),
        go_away(),
    ]
    .concat();
    at_every_byte(&scene, None, &frames).await?;
    let running = "grep -l \"sleep.424[2]\" /proc/[0-9]*/cmdline 2>/dev/null | wc -l";
    let gone = async || Ok((scene.stage.exec(&scene.container, running).await?.trim() == "0").then_some(()));
    until("their commands are gone", gone).await?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarding_breaks_off_at_every_byte() -> Result<()> {
    let scene = Scene::set().await?;
    let pod = scene.stage.pod("server").await?;
    let script = "while :; do nc -l -p 80 -e cat; done";
    let server = scene.stage.start(&pod, &scene.stage.shell("main", script)).await?;
    let mut wire = Wire::default();
    let frames = [
        wire.syn_stream(1, &[("streamtype", "error"), ("port", "80"), ("requestid", "0")]),
        wire.syn_stream(3, &[("streamtype", "data"), ("port", "80"), ("requestid", "0")]),
        data(1, FIN, b""),
        data(3, 0, b"hello"),
        data(3, FIN, b""),
    ]
    .concat();
    at_every_byte(&scene, Some(&pod.id), &frames).await?;
    scene.remove(&pod, &server).await?;
    scene.close().await
}
