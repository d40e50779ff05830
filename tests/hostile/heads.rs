//! Requests that are too long, too slow, or none.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use crio_tests::PATIENCE;
use tokio::io::AsyncWriteExt as _;

use crate::Scene;
use crate::client::{break_off, flood, until_closed};

/// How many clients begin a request and do not end it.
const HALVES: usize = 100;
/// More than the server waits for a request.
const REQUEST_PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_none_are_refused() -> Result<()> {
    let scene = Scene::set().await?;
    let long = "x".repeat(1 << 20);
    let many: String = (0..5_000).map(|number| format!("h{number}: v\r\n")).collect();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("an empty line", b"\r\n\r\n\r\n\r\n".to_vec()),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.0\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(10)),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("zeroes", vec![0; 100_000]),
        ("all bits", vec![0xff; 100_000]),
        ("a long path", format!("GET /exec/{long} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()),
        ("a long header", format!("GET /exec/x HTTP/1.1\r\nHost: x\r\nLong: {long}\r\n\r\n").into_bytes()),
        ("a long name", format!("GET /exec/x HTTP/1.1\r\nHost: x\r\n{long}: v\r\n\r\n").into_bytes()),
        ("many headers", format!("GET /exec/x HTTP/1.1\r\nHost: x\r\n{many}\r\n").into_bytes()),
        ("another method", b"DELETE /exec/x HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("an unknown token", b"GET /exec/x HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("no token", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a path that climbs", b"GET /exec/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        (
            "a body without end",
            b"POST /exec/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n".to_vec(),
        ),
    ];
    let door = scene.door("true").await?;
    for (name, request) in cases {
        let mut stream = door.connect().await?;
        let _taken = flood(&mut stream, &request, request.len()).await;
        // The answer may be lost when the server closes before it has read all of this; that it closes may not.
        let answer = until_closed(&mut stream, PATIENCE).await.map_err(|error| error.context(name))?;
        let answer = String::from_utf8_lossy(&answer);
        ensure!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{name}: {answer}");
    }
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_do_not_end_are_dropped_in_time() -> Result<()> {
    let scene = Scene::set().await?;
    let door = scene.door("true").await?;
    let request = door.spdy_request();
    let begun = Instant::now();
    let mut halves = Vec::new();
    for number in 0..HALVES {
        let mut stream = door.connect().await?;
        // From nothing at all to everything but the last byte; the last of them would use the token up.
        let part = (request.len() - 1) * number / HALVES;
        stream.write_all(&request.as_bytes()[..part]).await?;
        halves.push(stream);
    }
    scene.serves().await?;
    // A byte now and then does not help.
    let mut trickle = door.connect().await?;
    let dropped = loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if trickle.write_all(b"G").await.is_err() || begun.elapsed() > REQUEST_PATIENCE {
            break begun.elapsed();
        }
    };
    ensure!(dropped < REQUEST_PATIENCE, "a client that sends a letter at a time is kept for {dropped:?}");
    for mut half in halves {
        until_closed(&mut half, REQUEST_PATIENCE.saturating_sub(begun.elapsed())).await?;
    }
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn more_clients_than_there_are_places() -> Result<()> {
    let scene = Scene::set().await?;
    let door = scene.door("true").await?;
    let mut crowd = Vec::new();
    for _ in 0..600 {
        crowd.push(door.connect().await?);
    }
    scene.before.has_grown_less_than(64 << 10, &scene.stage)?;
    scene.stage.exec(&scene.container, "true").await?;
    for stream in crowd {
        break_off(stream)?;
    }
    scene.close().await
}
