//! WebSocket that no client would speak.

use anyhow::{Context as _, Result, ensure};
use crio_tests::PATIENCE;

use crate::Scene;
use crate::client::{break_off, flood, until_closed};

const FLOOD_BYTES: usize = 64 << 20;
/// What a connection that is not read may make a daemon keep.
const ONE_CLIENT_KIB: u64 = 24 << 10;

/// A frame with a mask of zeroes, which is a mask.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_end_the_session() -> Result<()> {
    let scene = Scene::set().await?;
    let endless = [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    let noise: Vec<u8> = (0..100_000u32).map(|number| (number.wrapping_mul(number) / 7) as u8).collect();
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("no mask", "v4.channel.k8s.io", vec![0x82, 2, 0, b'x']),
        ("a reserved kind", "v4.channel.k8s.io", frame(0x83, b"x")),
        ("reserved bits", "v4.channel.k8s.io", frame(0xf2, b"x")),
        ("a frame without end", "v4.channel.k8s.io", endless.to_vec()),
        ("a long ping", "v4.channel.k8s.io", frame(0x89, &[0; 200])),
        ("a ping in parts", "v4.channel.k8s.io", frame(0x09, b"x")),
        ("a part of nothing", "v4.channel.k8s.io", frame(0x80, b"x")),
        ("two beginnings", "v4.channel.k8s.io", [frame(0x02, b"\0x"), frame(0x82, b"\0x")].concat()),
        ("no text", "v4.base64.channel.k8s.io", frame(0x81, &[0xff, 0xfe])),
        ("no base64", "v4.base64.channel.k8s.io", frame(0x81, b"0!!!!")),
        ("no channel", "base64.channel.k8s.io", frame(0x81, b"xaGk=")),
        ("a closing without channel", "v5.channel.k8s.io", frame(0x82, &[255])),
        ("a bad goodbye", "v4.channel.k8s.io", frame(0x88, &[0])),
        ("noise", "v5.channel.k8s.io", noise),
        ("another request", "v4.channel.k8s.io", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ];
    for (name, protocol, bytes) in cases {
        let door = scene.door("sleep 100").await?;
        let mut stream = door.switch(&door.websocket_request(protocol)).await?;
        let _taken = flood(&mut stream, &bytes, bytes.len()).await;
        until_closed(&mut stream, PATIENCE).await.with_context(|| name.to_owned())?;
    }
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_that_nobody_reads_back() -> Result<()> {
    let scene = Scene::set().await?;
    let pings = frame(0x89, &[b'x'; 100]).repeat(1_000);
    let empty = frame(0x82, b"").repeat(10_000);
    let to_nobody = frame(0x82, &[0; 60_000]);
    let parts = [frame(0x02, &[0; 60_000]), frame(0x00, &[0; 60_000]).repeat(1_000)].concat();
    for (name, bytes) in [("pings", pings), ("nothing", empty), ("unread input", to_nobody), ("one message", parts)] {
        let door = scene.door("sleep 100").await?;
        let mut stream = door.switch(&door.websocket_request("v5.channel.k8s.io")).await?;
        let _taken = flood(&mut stream, &bytes, FLOOD_BYTES).await;
        scene.before.has_grown_less_than(ONE_CLIENT_KIB + (16 << 10), &scene.stage).with_context(|| name.to_owned())?;
        scene.serves().await?;
        break_off(stream)?;
    }
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_are_none() -> Result<()> {
    let scene = Scene::set().await?;
    let changes = [
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 7"),
        ("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", ""),
        ("Upgrade: websocket", "Upgrade: carrier-pigeon"),
        ("Connection: Upgrade", "Connection: close"),
        ("v4.channel.k8s.io", "v9.channel.k8s.io"),
    ];
    for (good, bad) in changes {
        let door = scene.door("true").await?;
        let request = door.websocket_request("v4.channel.k8s.io").replace(good, bad);
        let mut stream = door.connect().await?;
        let _taken = flood(&mut stream, request.as_bytes(), request.len()).await;
        let answer = until_closed(&mut stream, PATIENCE).await.with_context(|| bad.to_owned())?;
        let answer = String::from_utf8_lossy(&answer);
        ensure!(answer.starts_with("HTTP/1.1 4"), "{bad}: {answer}");
    }
    scene.close().await
}
