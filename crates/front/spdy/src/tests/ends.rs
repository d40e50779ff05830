//! How connections end, other than in order.

use std::io::ErrorKind;
use std::time::Duration;

use crio_testkit::spdy::{self, FIN, Frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::{in_time, pair, pair_with};
use crate::{ConnectionError, Limits};

#[tokio::test]
async fn the_client_leaves() {
    let mut pair = pair();
    let (mut unfinished, mut finished) = (pair.open(1).await, pair.open(3).await);
    pair.client.send(&spdy::data(1, 0, b"rest")).await.unwrap();
    pair.client.send(&spdy::data(3, FIN, b"all")).await.unwrap();
    drop(pair.client);
    in_time(pair.connection.closed()).await;
    assert!(in_time(pair.connection.accept()).await.is_none());
    in_time(pair.driver).await.unwrap().unwrap();

    let mut read = Vec::new();
    let error = unfinished.read_to_end(&mut read).await.unwrap_err();
    assert_eq!((read.as_slice(), error.kind()), (&b"rest"[..], ErrorKind::ConnectionReset));
    assert_eq!(unfinished.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(unfinished.flush().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(unfinished.shutdown().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    read.clear();
    finished.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"all");
}

#[tokio::test]
async fn the_client_leaves_within_a_frame() {
    for frame in [spdy::ping(1), spdy::data(1, 0, b"xy"), spdy::control(4, 0, b"skipped")] {
        let mut pair = pair();
        pair.client.send(&frame[..frame.len() - 1]).await.unwrap();
        drop(pair.client);
        let end = in_time(pair.driver).await.unwrap();
        assert!(matches!(end, Err(ConnectionError::Truncated)), "{frame:?}: {end:?}");
    }
}

#[tokio::test]
async fn the_client_resets_a_stream() {
    let mut pair = pair();
    let mut stream = pair.open(1).await;
    pair.client.send(&[spdy::data(1, 0, b"not wanted"), spdy::reset(1)].concat()).await.unwrap();
    pair.expect_silence().await;
    assert_eq!(stream.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    drop(stream);
    pair.expect_silence().await;

    // One that waits is forgotten; one that is being answered says so.
    pair.client.open(3, &[]).await.unwrap();
    pair.client.send(&spdy::reset(3)).await.unwrap();
    pair.client.open(5, &[]).await.unwrap();
    pair.expect_silence().await;
    let incoming = in_time(pair.connection.accept()).await.unwrap();
    assert_eq!(incoming.id().get(), 5);
    pair.client.send(&spdy::reset(5)).await.unwrap();
    pair.expect_silence().await;
    let mut stream = incoming.accept();
    assert_eq!(stream.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    pair.expect_silence().await;
}

#[tokio::test]
async fn the_driver_is_dropped() {
    let mut pair = pair();
    let mut stream = pair.open(1).await;
    let reading = tokio::spawn(async move { stream.read_u8().await });
    pair.driver.abort();
    assert_eq!(in_time(reading).await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(in_time(pair.connection.accept()).await.is_none());
    in_time(pair.connection.closed()).await;
    assert_eq!(pair.client.frame().await.unwrap(), None);

    let (_client, transport) = tokio::io::duplex(1);
    let (mut connection, driver) = crate::serve(transport, Limits::default());
    drop(driver);
    assert!(in_time(connection.accept()).await.is_none(), "a driver that never ran");
}

#[tokio::test(start_paused = true)]
async fn nothing_moves_for_too_long() {
    let limit = Duration::from_secs(60);
    let mut pair = pair_with(Limits { idle_timeout: limit, ..Limits::default() });
    let mut stream = pair.open(1).await;
    for _ in 0..10 {
        tokio::time::sleep(limit / 2).await;
        pair.expect_silence().await;
        tokio::time::sleep(limit / 2).await;
        stream.write_all(b"x").await.unwrap();
        assert!(matches!(pair.frame().await, Frame::Data { .. }));
    }
    let idle_since = Instant::now();
    pair.connection.closed().await;
    assert!((limit..limit * 2).contains(&idle_since.elapsed()), "{:?}", idle_since.elapsed());
    assert_eq!(stream.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(pair.frame().await, Frame::GoAway { last_good: 1, status: 0 });
    drop(pair.client);
    assert!(matches!(pair.driver.await.unwrap(), Err(ConnectionError::Idle { limit: of }) if of == limit));
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_does_not_wait_for_ever() {
    let limits = Limits { close_timeout: Duration::from_secs(9), ..Limits::default() };
    // One client does not read, one does not leave, and one does not stop to send.
    for (reads, sends) in [(false, false), (true, false), (true, true)] {
        let mut pair = pair_with(limits);
        let mut stream = pair.open(1).await;
        let noise = vec![b'x'; if reads { 1 } else { 4 << 20 }];
        let written = tokio::time::timeout(Duration::from_secs(1), stream.write_all(&noise)).await;
        assert_eq!(written.is_ok(), reads, "what nobody reads cannot all be written");
        let closed_at = Instant::now();
        pair.connection.close();
        let mut client = pair.client;
        let client = tokio::spawn(async move {
            while reads && client.frame().await.unwrap().is_some() {}
            while sends && client.io.write_all(&[0xff; 1000]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            tokio::time::sleep(Duration::from_secs(100)).await;
        });
        pair.driver.await.unwrap().unwrap();
        assert!((9..11).contains(&closed_at.elapsed().as_secs()), "{reads} {sends} {:?}", closed_at.elapsed());
        client.await.unwrap();
    }
}

#[tokio::test]
async fn streams_that_nobody_accepted_are_reset_at_the_end() {
    let mut pair = pair();
    pair.client.open(1, &[]).await.unwrap();
    pair.client.open(3, &[]).await.unwrap();
    let incoming = in_time(pair.connection.accept()).await.unwrap();
    pair.expect_silence().await;
    drop(pair.connection);
    for expected in [
        Frame::Reset { id: 3, status: 3 },
        Frame::Reset { id: 1, status: 5 },
        Frame::GoAway { last_good: 3, status: 0 },
    ] {
        assert_eq!(pair.client.frame().await.unwrap(), Some(expected));
    }
    let mut stream = incoming.accept();
    assert_eq!(stream.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}
