//! What an honest client and a session do with one another.

use std::io::ErrorKind;

use crio_testkit::spdy::{self, FIN, Frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{data, fin, in_time, pair};

#[tokio::test]
async fn from_the_first_stream_to_the_last_goodbye() {
    let mut pair = pair();
    pair.client.open(1, &[("streamtype", "error"), ("x", "1\u{0}2")]).await.unwrap();
    let incoming = in_time(pair.connection.accept()).await.unwrap();
    assert_eq!(incoming.header("streamType"), Some("error"));
    assert_eq!((incoming.header("x"), incoming.header("y")), (Some("1"), None));
    assert_eq!((incoming.id().get(), incoming.id().to_string().as_str()), (1, "1"));
    let mut error = incoming.accept();
    assert!(matches!(pair.frame().await, Frame::SynReply { id: 1, .. }));
    let mut stdin = pair.open(3).await;

    pair.client.send(&spdy::data(3, 0, b"in")).await.unwrap();
    pair.client.send(&spdy::data(3, FIN, b"put")).await.unwrap();
    let mut input = String::new();
    in_time(stdin.read_to_string(&mut input)).await.unwrap();
    assert_eq!(input, "input");

    error.write_all(b"status").await.unwrap();
    error.shutdown().await.unwrap();
    assert_eq!(error.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    pair.connection.close();
    // The client leaves when it has read the goodbye, as they do.
    let mut frames = Vec::new();
    while let Some(frame) = pair.client.frame().await.unwrap() {
        let is_goodbye = matches!(frame, Frame::GoAway { .. });
        frames.push(frame);
        if is_goodbye {
            break;
        }
    }
    assert_eq!(
        frames,
        [data(1, b"status"), fin(1), Frame::Reset { id: 3, status: 5 }, Frame::GoAway { last_good: 3, status: 0 }]
    );
    assert_eq!(pair.client.frame().await.unwrap(), None, "our direction is ended first");
    drop(pair.client);
    in_time(pair.driver).await.unwrap().unwrap();
    assert_eq!(stdin.write(b"late").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn streams_are_refused() {
    let mut pair = pair();
    for id in [1, 3] {
        pair.client.open(id, &[]).await.unwrap();
        let incoming = in_time(pair.connection.accept()).await.unwrap();
        if id == 1 {
            incoming.refuse();
        } else {
            drop(incoming);
        }
        assert_eq!(pair.frame().await, Frame::Reset { id, status: 3 });
    }
    pair.open(5).await;
}

#[tokio::test]
async fn dropping_what_is_unfinished_resets_it() {
    let mut pair = pair();
    drop(pair.open(1).await);
    assert_eq!(pair.frame().await, Frame::Reset { id: 1, status: 5 });

    pair.open(3).await.reset();
    assert_eq!(pair.frame().await, Frame::Reset { id: 3, status: 5 });

    let mut finished = pair.open(5).await;
    finished.write_all(b"x").await.unwrap();
    finished.shutdown().await.unwrap();
    drop(finished);
    assert_eq!([pair.frame().await, pair.frame().await], [data(5, b"x"), fin(5)]);
    pair.client.send(&spdy::data(5, FIN, b"nobody reads this")).await.unwrap();
    pair.expect_silence().await;

    let (read, write) = pair.open(7).await.into_split();
    drop(read);
    pair.expect_silence().await;
    drop(write);
    assert_eq!(pair.frame().await, Frame::Reset { id: 7, status: 5 });
}

#[tokio::test]
async fn pings_come_back_and_what_is_unknown_is_skipped() {
    let mut pair = pair();
    for number in [1, 3, 0x7fff_ffff] {
        pair.client.send(&spdy::ping(number)).await.unwrap();
        assert_eq!(pair.frame().await, Frame::Ping { number });
    }
    let skipped = [
        spdy::ping(2),
        spdy::control(4, 0, &[0; 20_000]),
        spdy::control(9, 0, &[0; 8]),
        spdy::control(99, 0xff, b"whatever"),
        spdy::go_away(),
    ];
    pair.client.send(&skipped.concat()).await.unwrap();
    pair.expect_silence().await;
}

#[tokio::test]
async fn ids_are_odd_and_rise() {
    let mut pair = pair();
    let mut third = pair.open(3).await;
    for id in [1, 2, 3] {
        pair.client.open(id, &[]).await.unwrap();
        assert_eq!(pair.frame().await, Frame::Reset { id, status: 1 });
    }
    let error = in_time(third.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the client takes it for reset");
    pair.open(5).await;
}

#[tokio::test]
async fn frames_of_unknown_streams() {
    let mut pair = pair();
    drop(pair.open(5).await);
    assert_eq!(pair.frame().await, Frame::Reset { id: 5, status: 5 });
    let headers = pair.client.wire.compressed(&spdy::block(&[]));
    let more_headers = |id: u32| spdy::control(8, 0, &[&id.to_be_bytes(), &headers[..]].concat());

    // Once open, or skipped by the client: it could not know yet.
    for frame in [spdy::data(5, 0, b"late"), spdy::data(3, FIN, b""), spdy::reset(5), spdy::reset(77), more_headers(5)]
    {
        pair.client.send(&frame).await.unwrap();
    }
    pair.expect_silence().await;
    for frame in [spdy::data(7, 0, &vec![1; 100_000]), spdy::data(7, FIN, b"")] {
        pair.client.send(&frame).await.unwrap();
        assert_eq!(pair.frame().await, Frame::Reset { id: 7, status: 2 }, "once for a frame");
    }
    pair.client.send(&spdy::data(2, 0, b"x")).await.unwrap();
    assert_eq!(pair.frame().await, Frame::Reset { id: 2, status: 2 });
    let headers = pair.client.wire.compressed(&spdy::block(&[]));
    pair.client.send(&spdy::control(2, 0, &[&9u32.to_be_bytes(), &headers[..]].concat())).await.unwrap();
    assert_eq!(pair.frame().await, Frame::Reset { id: 9, status: 2 }, "a reply to nothing");

    let mut stream = pair.open(7).await;
    let headers = pair.client.wire.compressed(&spdy::block(&[]));
    pair.client.send(&spdy::control(2, 0, &[&7u32.to_be_bytes(), &headers[..]].concat())).await.unwrap();
    assert_eq!(pair.frame().await, Frame::Reset { id: 7, status: 2 }, "a reply to a stream of its own");
    assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    pair.expect_silence().await;
}

#[tokio::test]
async fn a_bad_stream_leaves_the_connection_alone() {
    let mut pair = pair();
    let many: Vec<String> = (0..65).map(|number| format!("h{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
    let blocks = [vec![0; 3], spdy::block(&[("Upper", "")]), spdy::block(&[("a", ""), ("a", "")]), spdy::block(&many)];
    let mut id = 1;
    for block in blocks {
        let frame = pair.client.wire.syn_stream_of(id, 0, &block);
        pair.client.send(&frame).await.unwrap();
        assert_eq!(pair.frame().await, Frame::Reset { id, status: 1 });
        id += 2;
    }
    let one_way = pair.client.wire.syn_stream_of(id, 2, &spdy::block(&[]));
    pair.client.send(&one_way).await.unwrap();
    assert_eq!(pair.frame().await, Frame::Reset { id, status: 3 });
    pair.open(id + 2).await;
}

#[tokio::test]
async fn a_stream_may_begin_with_its_end() {
    let mut pair = pair();
    let frame = pair.client.wire.syn_stream_of(1, FIN, &spdy::block(&[]));
    pair.client.send(&frame).await.unwrap();
    let mut stream = in_time(pair.connection.accept()).await.unwrap().accept();
    assert_eq!(in_time(stream.read(&mut [0])).await.unwrap(), 0);
    assert!(matches!(pair.frame().await, Frame::SynReply { id: 1, .. }));

    let mut other = pair.open(3).await;
    let headers = pair.client.wire.compressed(&spdy::block(&[]));
    pair.client.send(&spdy::control(8, FIN, &[&3u32.to_be_bytes(), &headers[..]].concat())).await.unwrap();
    assert_eq!(in_time(other.read(&mut [0])).await.unwrap(), 0, "or end with headers");
}
