//! A whole SPDY connection: a client that says anything, and sessions that echo, refuse, reset, leave or do not read.
//!
//! The first byte picks how the rest is meant: even, as bytes on the wire; odd, as steps `kind id flags length bytes`, of which
//! header blocks are compressed as a client does it, so that what lies behind the decompression is reached.
//!
//! Oracle: the connection ends; the client gets frames, each stream's after its reply and none after its end, and none at all
//! after the goodbye.
#![no_main]

use std::collections::BTreeMap;
use std::time::Duration;

use crio_spdy::{Connection, Incoming, Limits, dictionary, serve};
use flate2::{Compress, Compression, FlushCompress};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const LIMITS: Limits = Limits {
    max_streams: 12,
    max_waiting_streams: 4,
    max_header_block_bytes: 512,
    max_headers: 8,
    stream_buffer_bytes: 48,
    connection_buffer_bytes: 200,
    idle_timeout: Duration::from_secs(5),
    close_timeout: Duration::from_secs(5),
};
/// What fits into each direction of the transport.
const TRANSPORT_BYTES: usize = 256;

thread_local! {
    // Its clock stands still until everybody waits; then it jumps.
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
}

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else { return };
    let bytes = if mode % 2 == 0 { rest.to_vec() } else { on_the_wire(rest) };
    RUNTIME.with(|runtime| runtime.block_on(converse(&bytes, mode & 2 == 0)));
});

/// Steps as bytes.
fn on_the_wire(mut steps: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut deflate = Compress::new(Compression::fast(), true);
    deflate.set_dictionary(dictionary()).expect("a new stream takes a dictionary");
    while let [kind, id, flags, length, rest @ ..] = steps {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        steps = rest;
        let id = u32::from(*id).to_be_bytes();
        let mut compressed = Vec::with_capacity(bytes.len() + 600);
        let (head, payload) = match kind % 8 {
            0..=2 => {
                deflate.compress_vec(bytes, &mut compressed, FlushCompress::Sync).expect("room");
                ([0x80, 3, 0, 1], [&id, &[0; 6][..], &compressed].concat())
            }
            3 => {
                deflate.compress_vec(bytes, &mut compressed, FlushCompress::Sync).expect("room");
                ([0x80, 3, 0, if *kind < 128 { 8 } else { 2 }], [&id, &compressed[..]].concat())
            }
            4 | 5 => (id, bytes.to_vec()),
            6 => ([0x80, 3, 0, 3], [id, [0, 0, 0, 5]].concat()),
            _ => ([0x80, 3, 0, id[3]], bytes.to_vec()),
        };
        wire.extend_from_slice(&head);
        wire.extend_from_slice(&(u32::from(*flags) << 24 | payload.len() as u32).to_be_bytes());
        wire.extend_from_slice(&payload);
    }
    wire
}

async fn converse(bytes: &[u8], leaves: bool) {
    let (client, transport) = tokio::io::duplex(TRANSPORT_BYTES);
    let (connection, driver) = serve(transport, LIMITS);
    let (mut reader, mut writer) = tokio::io::split(client);
    let sends = async {
        let _may_be_gone = writer.write_all(bytes).await;
        if leaves {
            let _may_be_gone = writer.shutdown().await;
        }
    };
    let receives = async {
        let (mut seen, mut buffer) = (Vec::new(), [0; 100]);
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            seen.extend_from_slice(&buffer[..count]);
        }
        seen
    };
    let all = async { tokio::join!(driver, sessions(connection), sends, receives) };
    // Idle and closing deadlines, and the pauses of sessions.
    let (_result, (), (), seen) = timeout(Duration::from_secs(1000), all).await.expect("it hangs");
    verify(&seen);
}

/// What each session does is in the number of its stream.
async fn sessions(mut connection: Connection) {
    let mut sessions = JoinSet::new();
    while let Some(incoming) = connection.accept().await {
        let _header = incoming.header("streamtype");
        match incoming.id().get() / 2 % 16 {
            7 => break,
            6 => incoming.refuse(),
            5 => sleep(Duration::from_secs(1)).await,
            kind => drop(sessions.spawn(session(kind, incoming))),
        }
    }
    connection.close();
    while let Some(ended) = sessions.join_next().await {
        ended.expect("a session");
    }
}

async fn session(kind: u32, incoming: Incoming) {
    let stream = incoming.accept();
    let (mut reader, mut writer) = stream.into_split();
    match kind {
        0 => drop(reader),
        1 => sleep(Duration::from_secs(2)).await,
        2 => {
            let _first = reader.read_u8().await;
            return writer.reset();
        }
        3 => drop(writer.write_all(&[b'x'; 1000]).await),
        _ => drop(tokio::io::copy(&mut reader, &mut writer).await),
    }
    let _may_be_reset = writer.shutdown().await;
    let _may_be_reset = writer.flush().await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Open,
    Ended,
}

/// Checks all that the client got. The last frame may be cut off, since a client that left gets nothing more.
fn verify(mut bytes: &[u8]) {
    let mut streams = BTreeMap::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else { return };
        bytes = rest;
        let word = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let id = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("four bytes"));
        match word {
            0x8003_0002 => assert_eq!(streams.insert(id(0), Seen::Open), None, "two replies"),
            0x8003_0003 => {
                assert!(matches!(id(4), 1 | 2 | 3 | 5), "status {}", id(4));
                if let Some(seen) = streams.get_mut(&id(0)) {
                    *seen = Seen::Ended;
                }
            }
            0x8003_0006 => assert_eq!(id(0) % 2, 1, "a ping that is not the client's"),
            0x8003_0007 => assert!(bytes.is_empty(), "{} bytes after the goodbye", bytes.len()),
            stream if stream >> 31 == 0 => {
                assert_eq!(streams.get(&stream), Some(&Seen::Open), "data of {stream}");
                if head[4] & 1 == 1 {
                    streams.insert(stream, Seen::Ended);
                }
            }
            other => panic!("a frame {other:x}"),
        }
    }
}
