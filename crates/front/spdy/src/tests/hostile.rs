//! Clients that mean no good: the connection ends, or goes on; nothing hangs, panics or grows.

use std::time::Duration;

use crio_testkit::spdy::{self, FIN, Frame, Wire};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::timeout;

use super::{in_time, pair, pair_with};
use crate::{Connection, ConnectionError, Limits, serve};

/// A client's whole side of an exec session.
fn recorded() -> Vec<u8> {
    let mut wire = Wire::default();
    let open = |wire: &mut Wire, id, kind| wire.syn_stream(id, &[("streamtype", kind)]);
    [
        open(&mut wire, 1, "error"),
        open(&mut wire, 3, "stdin"),
        open(&mut wire, 5, "stdout"),
        spdy::control(4, 0, &[0; 12]),
        spdy::data(3, 0, b"date\n"),
        spdy::ping(1),
        open(&mut wire, 7, "resize"),
        spdy::data(7, 0, b"{\"Width\":80,\"Height\":24}\n"),
        spdy::data(3, FIN, b"exit\n"),
        spdy::reset(7),
        spdy::go_away(),
    ]
    .concat()
}

/// A session that echoes every stream and closes when the client says goodbye or all is over.
async fn echo(mut connection: Connection) {
    let mut streams = tokio::task::JoinSet::new();
    while let Some(incoming) = connection.accept().await {
        let stream = incoming.accept();
        streams.spawn(async move {
            let (mut reader, mut writer) = stream.into_split();
            if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
                let _gone = writer.shutdown().await;
            }
        });
    }
    connection.close();
    streams.join_all().await;
}

/// Serves a client that says `bytes`, then leaves or waits for us to.
async fn serve_bytes(bytes: &[u8], leaves: bool) -> Result<(), ConnectionError> {
    let (client, transport) = tokio::io::duplex(bytes.len().max(1));
    let limits = Limits {
        idle_timeout: Duration::from_millis(300),
        close_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let (connection, driver) = serve(transport, limits);
    let session = tokio::spawn(echo(connection));
    let (mut reader, mut writer): (_, tokio::io::WriteHalf<DuplexStream>) = tokio::io::split(client);
    writer.write_all(bytes).await.unwrap();
    let client = tokio::spawn(async move {
        let mut sink = Vec::new();
        if leaves {
            let _may_be_gone = writer.shutdown().await;
        }
        let _whatever = reader.read_to_end(&mut sink).await;
        drop(writer);
    });
    let result = driver.await;
    session.await.unwrap();
    client.await.unwrap();
    result
}

#[tokio::test(start_paused = true)]
async fn a_good_session_cut_off_at_every_byte() {
    let session = recorded();
    for end in 0..=session.len() {
        for leaves in [true, false] {
            let result = in_time(serve_bytes(&session[..end], leaves)).await;
            match (leaves, result) {
                (true, Ok(()) | Err(ConnectionError::Truncated)) | (false, Err(ConnectionError::Idle { .. })) => {}
                other => panic!("{end}: {other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_session_with_every_byte_changed() {
    let session = recorded();
    for at in 0..session.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = session.clone();
            changed[at] ^= change;
            let _any = in_time(serve_bytes(&changed, true)).await;
        }
    }
}

#[tokio::test]
async fn frames_that_end_the_connection_are_answered_with_a_goodbye() {
    for (name, bytes) in [
        ("another version", vec![0x80, 2, 0, 1, 0, 0, 0, 10]),
        ("not SPDY", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("data of no stream", spdy::data(0, 0, b"x")),
        ("a short ping", spdy::control(6, 0, &[1; 3])),
        ("garbage for headers", spdy::control(1, 0, &[1; 30])),
        ("a header block without end", vec![0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff]),
        ("a bomb", Vec::new()),
    ] {
        let mut pair = pair();
        let mut stream = pair.open(1).await;
        stream.write_all(b"before").await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(pair.frame().await, super::data(1, b"before"));
        if name == "not SPDY" {
            // As a frame that is a data frame of half a gigabyte's id: a stream that never was.
            pair.client.send(&bytes).await.unwrap();
            assert!(matches!(pair.frame().await, Frame::Reset { status: 2, .. }));
            continue;
        }
        let bomb = pair.client.wire.syn_stream_of(3, 0, &vec![0; 16 << 20]);
        pair.client.send(if bytes.is_empty() { &bomb } else { &bytes }).await.unwrap();
        assert_eq!(pair.frame().await, Frame::GoAway { last_good: 1, status: 1 }, "{name}");
        assert_eq!(pair.client.frame().await.unwrap(), None, "{name}");
        assert!(stream.read_u8().await.is_err(), "{name}");
        drop(pair.client);
        let end = in_time(pair.driver).await.unwrap();
        assert!(matches!(end, Err(ConnectionError::Protocol { .. })), "{name}: {end:?}");
    }
}

#[tokio::test]
async fn a_flood_of_pings_that_nobody_reads_back_stops() {
    let mut pair = pair();
    let flood = spdy::ping(1).repeat(1000);
    let mut sent = 0;
    while let Ok(result) = timeout(Duration::from_millis(200), pair.client.io.write_all(&flood)).await {
        result.unwrap();
        sent += flood.len();
        assert!(sent < 10 << 20, "it is kept somewhere");
    }
    // Another connection does not notice.
    super::pair().open(1).await;
}

#[tokio::test]
async fn thousands_of_streams() {
    let limits = Limits { max_streams: 10, max_waiting_streams: 10, ..Limits::default() };
    let mut pair = pair_with(limits);
    let session = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Some(incoming) = pair.connection.accept().await {
            held.push(incoming.accept());
        }
        held.len()
    });
    let (mut from_server, mut to_server) = tokio::io::split(pair.client.io);
    let mut flood = Vec::new();
    for id in (1..20_000).step_by(2) {
        flood.extend(pair.client.wire.syn_stream(id, &[("streamtype", "data")]));
    }
    let sending = tokio::spawn(async move {
        to_server.write_all(&flood).await.unwrap();
        to_server
    });
    let (mut replies, mut refusals, mut buffer) = (0, 0, vec![0; 64 << 10]);
    while replies + refusals < 10_000 {
        let count = in_time(from_server.read(&mut buffer)).await.unwrap();
        pair.client.wire.receive(&buffer[..count]);
        while let Some(frame) = pair.client.wire.next_frame().unwrap() {
            match frame {
                Frame::SynReply { .. } => replies += 1,
                Frame::Reset { status: 3, .. } => refusals += 1,
                frame => panic!("{frame:?}"),
            }
        }
    }
    assert_eq!((replies, refusals), (10, 9_990));
    drop((from_server, in_time(sending).await.unwrap()));
    assert_eq!(in_time(session).await.unwrap(), 10);
    in_time(pair.driver).await.unwrap().unwrap();
}
