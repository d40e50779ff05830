//! Clients and sessions that are slower than one another.

use std::time::Duration;

use crio_testkit::spdy::{self, FIN, Frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::{in_time, pair, pair_with};
use crate::Limits;

const MUCH: usize = 8 << 20;
const MOMENT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_slow_reader_holds_up_its_connection_until_it_reads_or_goes() {
    let mut pair = pair();
    let mut slow = pair.open(1).await;
    let gone = pair.open(3).await;
    let (reader, mut writer) = gone.into_split();
    drop(reader);

    let noise = vec![7; MUCH];
    pair.client.send(&spdy::data(3, 0, &noise)).await.unwrap();
    pair.expect_silence().await;

    let sending = async { pair.client.io.write_all(&spdy::data(1, FIN, &noise)).await };
    assert!(timeout(MOMENT, sending).await.is_err(), "it must not all fit");
    // The frame was cut off in the middle, so this client is of no more use; what was taken can be read.
    let mut taken = vec![0; 64 << 10];
    in_time(slow.read_exact(&mut taken)).await.unwrap();
    assert!(taken.iter().all(|byte| *byte == 7));
    writer.shutdown().await.unwrap();
    assert_eq!(pair.frame().await, super::fin(3), "the other direction is free");
}

#[tokio::test]
async fn much_goes_through_in_both_directions() {
    let mut pair = pair();
    let stream = pair.open(1).await;
    let (mut reader, mut writer) = stream.into_split();
    let echo = tokio::spawn(async move {
        let count = tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
        count
    });
    let noise: Vec<u8> = (0..MUCH).map(|at| (at % 251) as u8).collect();
    let (mut from_server, mut to_server) = tokio::io::split(pair.client.io);
    let sent = noise.clone();
    let sending = tokio::spawn(async move {
        for part in sent.chunks(100_000) {
            to_server.write_all(&spdy::data(1, 0, part)).await.unwrap();
        }
        to_server.write_all(&spdy::data(1, FIN, b"")).await.unwrap();
        to_server
    });
    let (mut echoed, mut buffer, mut is_over) = (Vec::new(), vec![0; 64 << 10], false);
    while !is_over {
        let count = in_time(from_server.read(&mut buffer)).await.unwrap();
        pair.client.wire.receive(&buffer[..count]);
        while let Some(frame) = pair.client.wire.next_frame().unwrap() {
            let Frame::Data { bytes, is_last, .. } = frame else { panic!("{frame:?}") };
            assert!(bytes.len() <= 16 << 10);
            echoed.extend(bytes);
            is_over = is_last;
        }
    }
    assert!(echoed == noise);
    assert_eq!(in_time(echo).await.unwrap(), MUCH as u64);
    in_time(sending).await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_its_writers_only() {
    let limits = Limits { stream_buffer_bytes: 10_000, connection_buffer_bytes: 50_000, ..Limits::default() };
    let mut pair = pair_with(limits);
    let mut written = 0;
    let mut streams = Vec::new();
    for id in [1, 3, 5, 7] {
        streams.push(pair.open(id).await);
    }
    let mut writers = Vec::new();
    for mut stream in streams {
        writers.push(tokio::spawn(async move {
            let mut written = 0;
            while let Ok(count) = timeout(MOMENT, stream.write(&[1; 1000])).await {
                written += count.unwrap();
            }
            (stream, written)
        }));
    }
    for writer in writers {
        let (stream, count) = in_time(writer).await.unwrap();
        written += count;
        // What was promised is still sent.
        tokio::spawn(async move {
            let mut stream = stream;
            stream.shutdown().await.unwrap();
        });
    }
    // The transport, what waits for it, and the streams.
    assert!((64 << 10..64 * 1024 + 80_000 + 40_000 + 1).contains(&written), "{written}");
    let (mut finished, mut received) = (0, 0);
    while finished < 4 {
        let Frame::Data { bytes, is_last, .. } = pair.frame().await else { panic!("no data") };
        received += bytes.len();
        finished += usize::from(is_last);
    }
    assert_eq!(received, written);
}

#[tokio::test]
async fn two_writers_share_the_connection() {
    let mut pair = pair();
    for mut stream in [pair.open(1).await, pair.open(3).await] {
        tokio::spawn(async move { while stream.write_all(&[0; 50_000]).await.is_ok() {} });
    }
    let mut received = [0; 2];
    while received[0] + received[1] < MUCH {
        let Frame::Data { id, bytes, .. } = pair.frame().await else { panic!("no data") };
        received[(id / 2) as usize] += bytes.len();
    }
    assert!(received[0] * 10 > MUCH * 4 && received[1] * 10 > MUCH * 4, "{received:?}");
}

#[tokio::test]
async fn flushing_waits_for_the_client() {
    let mut pair = pair();
    let mut stream = pair.open(1).await;
    stream.write_all(&[0; 32 << 10]).await.unwrap();
    in_time(stream.flush()).await.unwrap();
    while timeout(MOMENT, stream.write_all(&[0; 1000])).await.is_ok() {}
    assert!(timeout(MOMENT, stream.flush()).await.is_err());
    let reading = async { while let Frame::Data { is_last: false, .. } = pair.frame().await {} };
    let flushing = async {
        in_time(stream.flush()).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    in_time(async { tokio::join!(reading, flushing) }).await;
}

#[tokio::test]
async fn streams_are_limited_in_number() {
    let mut pair = pair_with(Limits { max_streams: 3, ..Limits::default() });
    let mut streams = Vec::new();
    for id in [1, 3, 5] {
        streams.push(pair.open(id).await);
    }
    pair.client.open(7, &[]).await.unwrap();
    assert_eq!(pair.frame().await, Frame::Reset { id: 7, status: 3 });
    streams.pop();
    assert_eq!(pair.frame().await, Frame::Reset { id: 5, status: 5 });
    pair.open(9).await;
}

#[tokio::test]
async fn streams_that_nobody_accepts_hold_up_the_connection() {
    let mut pair = pair_with(Limits { max_waiting_streams: 2, ..Limits::default() });
    for id in [1, 3, 5] {
        pair.client.open(id, &[]).await.unwrap();
    }
    pair.client.send(&spdy::ping(1)).await.unwrap();
    assert!(timeout(MOMENT, pair.client.frame()).await.is_err());
    let mut frames = Vec::new();
    for id in [1, 3, 5] {
        assert_eq!(in_time(pair.connection.accept()).await.unwrap().id().get(), id);
    }
    for _ in 0..4 {
        frames.push(pair.frame().await);
    }
    let refused = |id| Frame::Reset { id, status: 3 };
    for expected in [refused(1), refused(3), refused(5), Frame::Ping { number: 1 }] {
        assert!(frames.contains(&expected), "{frames:?}");
    }
}
