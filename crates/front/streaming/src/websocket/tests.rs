//! A client and the multiplexer over a pipe in memory.

use tokio::io::DuplexStream;

use super::*;
use crate::protocol::CHANNELS;

const BUFFER: usize = 64 << 10;

async fn client(io: DuplexStream) -> WebSocketStream<DuplexStream> {
    WebSocketStream::from_raw_socket(io, Role::Client, None).await
}

async fn next(client: &mut WebSocketStream<DuplexStream>) -> Message {
    timeout(Duration::from_secs(10), client.next()).await.expect("in time").expect("a message").expect("a good one")
}

#[tokio::test]
async fn a_session_is_greeted_served_and_dismissed() {
    let (near, far) = tokio::io::duplex(BUFFER);
    let mut multiplex = Multiplex::new(CHANNELS[0]);
    let mut stdin = multiplex.inlet(0);
    let mut stdout = multiplex.outlet(1).unwrap();
    let gone = multiplex.gone();
    let carrying = tokio::spawn(async move { multiplex.carry(socket(near).await, 1).await });
    let mut client = client(far).await;
    assert_eq!(next(&mut client).await, Message::binary(vec![1]));

    for message in [&b"\0first"[..], b"", b"\x09nobody's", b"\0", b"\0second"] {
        client.send(Message::binary(message.to_vec())).await.unwrap();
    }
    assert_eq!(stdin.receive().await.unwrap(), "first");
    assert_eq!(stdin.receive().await.unwrap(), "");
    assert_eq!(stdin.receive().await.unwrap(), "second");
    client.send(Message::Ping("ping".into())).await.unwrap();
    assert_eq!(next(&mut client).await, Message::Pong("ping".into()));
    client.send(Message::binary(vec![255, 0])).await.unwrap();
    assert_eq!(stdin.receive().await, None);
    assert!(!gone.is_cancelled(), "the client has only finished its input");

    stdout.send(b"output").await.unwrap();
    assert_eq!(next(&mut client).await, Message::binary(b"\x01output".to_vec()));
    drop(stdout);
    let Message::Close(Some(frame)) = next(&mut client).await else { panic!("no good-bye") };
    assert_eq!(frame.code, CloseCode::Normal);
    assert!(client.next().await.is_none());
    carrying.await.unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_and_writers_fail() {
    let (near, far) = tokio::io::duplex(BUFFER);
    let mut multiplex = Multiplex::new(CHANNELS[2]);
    let mut stdin = multiplex.inlet(0);
    let mut stdout = multiplex.outlet(1).unwrap();
    let gone = multiplex.gone();
    let carrying = tokio::spawn(async move { multiplex.carry(socket(near).await, 1).await });
    let mut client = client(far).await;
    assert_eq!(next(&mut client).await, Message::text("1"));
    client.send(Message::text("0aGk=")).await.unwrap();
    assert_eq!(stdin.receive().await.unwrap(), "hi");
    drop(client);
    gone.cancelled().await;
    carrying.await.unwrap();
    assert_eq!(stdin.receive().await, None);
    assert!(stdout.send(b"output").await.is_err());
}

#[tokio::test]
async fn nonsense_ends_the_session() {
    let (near, far) = tokio::io::duplex(BUFFER);
    let mut multiplex = Multiplex::new(CHANNELS[2]);
    let mut stdin = multiplex.inlet(0);
    let carrying = tokio::spawn(async move { multiplex.carry(socket(near).await, 1).await });
    let mut client = client(far).await;
    client.send(Message::text("0not base64")).await.unwrap();
    assert_eq!(stdin.receive().await, None);
    carrying.await.unwrap();
}

#[tokio::test]
async fn a_tunnel_carries_bytes_and_not_messages() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (near, far) = tokio::io::duplex(BUFFER);
    let (mut bytes, carried) = tunnel::open(socket(near).await);
    let carrying = tokio::spawn(carried);
    let mut client = client(far).await;
    client.send(Message::binary(b"one".to_vec())).await.unwrap();
    client.send(Message::binary(b"two".to_vec())).await.unwrap();
    let mut text = [0u8; 6];
    bytes.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"onetwo");
    bytes.write_all(b"three").await.unwrap();
    assert_eq!(next(&mut client).await, Message::binary(b"three".to_vec()));
    client.close(None).await.unwrap();
    assert_eq!(bytes.read(&mut text).await.unwrap(), 0);
    drop(bytes);
    carrying.await.unwrap();
}
