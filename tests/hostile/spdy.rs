//! SPDY that no client would speak.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use crio_testkit::spdy::{self, Frame, block, control, data, ping};
use crio_tests::PATIENCE;

use crate::client::{ERROR, break_off, flood, until_closed};
use crate::{Door, Scene};

/// More than the kernel itself keeps of a connection, both ways: tcp_rmem and tcp_wmem may allow 36 MiB each.
const FLOOD_BYTES: usize = 256 << 20;
/// What a connection that is not read may make a daemon keep.
const ONE_CLIENT_KIB: u64 = 16 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_end_the_session() -> Result<()> {
    let scene = Scene::set().await?;
    let header_bomb = |client: &mut spdy::Client<_>| client.wire.syn_stream_of(5, 0, &vec![0; 16 << 20]);
    let many_headers = |client: &mut spdy::Client<_>| {
        let names: Vec<String> = (0..10_000).map(|number| format!("h{number}")).collect();
        let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
        client.wire.syn_stream_of(5, 0, &block(&headers))
    };
    let plain = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        move |_: &mut spdy::Client<tokio::net::TcpStream>| bytes.clone()
    };
    let version = [0x80, 2, 0, 1, 0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    type Made<'a> = Box<dyn Fn(&mut spdy::Client<tokio::net::TcpStream>) -> Vec<u8> + 'a>;
    let cases: Vec<(&str, Made<'_>)> = vec![
        ("a bomb", Box::new(header_bomb)),
        ("a long header block", Box::new(many_headers)),
        ("another version", Box::new(plain(&version))),
        ("garbage for headers", Box::new(plain(&control(1, 0, &[0xff; 100])))),
        ("a long control frame", Box::new(plain(&[0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff]))),
        ("data of no stream", Box::new(plain(&data(0, 0, b"x")))),
        ("a short ping", Box::new(plain(&control(6, 0, b"x")))),
        ("all bits", Box::new(plain(&[0xff; 10_000]))),
    ];
    for (name, made) in &cases {
        // Before the command has begun, and while it runs.
        for begun in [false, true] {
            let door = scene.door("sleep 100").await?;
            let mut client = if begun { door.begin().await? } else { door.spdy().await? };
            let bytes = made(&mut client);
            let _taken = flood(&mut client.io, &bytes, bytes.len()).await;
            let seen = until_closed(&mut client.io, PATIENCE);
            let seen = seen.await.with_context(|| format!("{name}, {begun}"))?;
            let goodbye = [0x80, 3, 0, 7, 0, 0, 0, 8];
            let told = seen.windows(goodbye.len()).any(|window| window == goodbye);
            ensure!(told, "{name}, {begun}: no goodbye in {seen:?}");
        }
    }
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn half_frames_end_with_their_client_or_the_wait_for_streams() -> Result<()> {
    let scene = Scene::set().await?;
    let mut clients = Vec::new();
    let whole = data(ERROR, 0, &[0; 1000]);
    for part in [1, 7, 8, 9, 500, 1007] {
        let mut client = scene.door("sleep 100").await?.begin().await?;
        client.send(&whole[..part]).await?;
        clients.push(client);
        let mut client = scene.door("sleep 100").await?.spdy().await?;
        client.send(&whole[..part]).await?;
        clients.push(client);
    }
    scene.serves().await?;
    for (number, client) in clients.into_iter().enumerate() {
        if number % 2 == 0 {
            break_off(client.io)?;
        } else {
            drop(client);
        }
    }
    // One whose streams never come is not waited for.
    let mut silent = scene.door("true").await?.spdy().await?;
    until_closed(&mut silent.io, Duration::from_secs(75)).await?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_pings() -> Result<()> {
    let scene = Scene::set().await?;
    let pings = ping(1).repeat(5_000);
    let mut deaf = scene.door("sleep 100").await?.begin().await?;
    let sent = flood(&mut deaf.io, &pings, FLOOD_BYTES).await;
    ensure!(sent < FLOOD_BYTES, "all of it was taken, and nothing of it read back");
    scene.before.has_grown_less_than(ONE_CLIENT_KIB, &scene.stage)?;
    scene.serves().await?;
    break_off(deaf.io)?;

    // One that reads gets all of them back.
    let mut fair = scene.door("sleep 100").await?.begin().await?;
    for _ in 0..20 {
        fair.send(&pings).await?;
        let mut back = 0;
        while back < 5_000 {
            match fair.frame().await?.context("it left")? {
                Frame::Ping { number: 1 } => back += 1,
                Frame::SynReply { .. } => {}
                frame => bail!("{frame:?}"),
            }
        }
    }
    break_off(fair.io)?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_streams() -> Result<()> {
    const STREAMS: u32 = 10_000;
    let scene = Scene::set().await?;
    let pod = scene.stage.cri.pods().await?.first().context("there is a pod")?.id.clone();
    let doors = [scene.door("sleep 100").await?, Door::forward(&scene.stage, &pod).await?];
    for door in doors {
        let mut client = door.spdy().await?;
        let mut frames = Vec::new();
        for id in (1..STREAMS * 2).step_by(2) {
            let (request, port) = (id.to_string(), (id % 65_000 + 1).to_string());
            // Half pairs of a forwarding; for a command, streams that nobody asked for.
            let headers = [("streamtype", "error"), ("port", port.as_str()), ("requestid", request.as_str())];
            frames.extend(client.wire.syn_stream(id, &headers));
        }
        // Not read at first: the server must not answer without limit.
        let sent = flood(&mut client.io, &frames, frames.len()).await;
        scene.before.has_grown_less_than(ONE_CLIENT_KIB, &scene.stage)?;
        scene.serves().await?;
        let (mut reader, mut writer) = tokio::io::split(client.io);
        let rest = frames.split_off(sent);
        let sending = tokio::spawn(async move {
            let sent = tokio::io::AsyncWriteExt::write_all(&mut writer, &rest).await;
            (sent, writer)
        });
        let (mut answers, mut buffer) = (0, vec![0; 64 << 10]);
        while answers < STREAMS {
            let read = tokio::io::AsyncReadExt::read(&mut reader, &mut buffer);
            let count = tokio::time::timeout(PATIENCE, read).await.context("no answer")??;
            ensure!(count > 0, "it left after {answers} answers");
            client.wire.receive(&buffer[..count]);
            while let Some(frame) = client.wire.next_frame()? {
                ensure!(matches!(frame, Frame::SynReply { .. } | Frame::Reset { status: 3, .. }), "{frame:?}");
                answers += 1;
            }
        }
        let (sent, writer) = sending.await?;
        sent?;
        break_off(reader.unsplit(writer))?;
    }
    scene.close().await
}
