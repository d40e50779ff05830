//! Clients that speak the older WebSocket protocols, which kubelet passes on as they are.

use anyhow::{Context as _, Result, bail, ensure};
use crio_cri_api::v1::{ExecRequest, PortForwardRequest};
use crio_tests::{PATIENCE, Stage, until};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

type Socket = WebSocketStream<TcpStream>;

async fn connect(url: &str, protocol: &str) -> Result<Socket> {
    let mut request = url.replacen("http://", "ws://", 1).into_client_request()?;
    if !protocol.is_empty() {
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse()?);
    }
    let host = url.split('/').nth(2).context("a URL has a host")?;
    let (socket, answer) = tokio_tungstenite::client_async(request, TcpStream::connect(host).await?).await?;
    let agreed = answer.headers().get("sec-websocket-protocol").map(|it| it.to_str().unwrap_or_default().to_owned());
    ensure!(agreed.unwrap_or_default() == protocol);
    Ok(socket)
}

/// The next message with bytes in it, or nothing when the session was ended in order.
async fn next(socket: &mut Socket) -> Result<Option<Vec<u8>>> {
    loop {
        match timeout(PATIENCE, socket.next()).await?.context("the connection was cut")?? {
            Message::Binary(bytes) => return Ok(Some(bytes.to_vec())),
            Message::Text(text) => return Ok(Some(text.as_bytes().to_vec())),
            Message::Close(frame) => {
                ensure!(frame.as_ref().is_some_and(|frame| u16::from(frame.code) == 1000), "{frame:?}");
                return Ok(None);
            }
            _ => {}
        }
    }
}

/// All messages to the end, one after another for each channel.
async fn rest(socket: &mut Socket) -> Result<[String; 5]> {
    let mut channels = [const { String::new() }; 5];
    while let Some(message) = next(socket).await? {
        let Some((first, rest)) = message.split_first() else { bail!("an empty message") };
        let channel = if first.is_ascii_digit() { first - b'0' } else { *first };
        channels[usize::from(channel)].push_str(&String::from_utf8_lossy(rest));
    }
    Ok(channels)
}

fn exec(id: &str, script: &str, stdin: bool) -> ExecRequest {
    let cmd = ["/bin/sh", "-c", script].map(str::to_owned).into();
    ExecRequest { container_id: id.to_owned(), cmd, stdin, stdout: true, stderr: true, tty: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_protocol_runs_commands() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("websocket").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let script = "read line; echo \"got $line\"; echo err >&2; exit 3";
    let (plain, json) = ("command terminated with exit code 3", "\"NonZeroExitCode\"");
    let cases = [
        ("", false, plain),
        ("channel.k8s.io", false, plain),
        ("base64.channel.k8s.io", true, plain),
        ("v4.channel.k8s.io", false, json),
        ("v4.base64.channel.k8s.io", true, json),
        ("v5.channel.k8s.io", false, json),
    ];
    for (protocol, base64, status) in cases {
        let url = stage.cri.runtime().exec(exec(&id, script, true)).await?.into_inner().url;
        let mut socket = connect(&url, protocol).await?;
        let greeting: &[u8] = if base64 { b"1" } else { b"\x01" };
        assert_eq!(next(&mut socket).await?.as_deref(), Some(greeting), "{protocol}");
        let input = if base64 { Message::text("0d29yZAo=") } else { Message::binary(b"\0word\n".to_vec()) };
        socket.send(input).await?;
        let channels = rest(&mut socket).await?;
        let (out, err) = if base64 { ("Z290IHdvcmQK", "ZXJyCg==") } else { ("got word\n", "err\n") };
        assert_eq!((channels[1].as_str(), channels[2].as_str()), (out, err), "{protocol}");
        let told = if base64 { !channels[3].is_empty() } else { channels[3].contains(status) };
        assert!(told, "{protocol}: {channels:?}");
    }
    let url = stage.cri.runtime().exec(exec(&id, script, true)).await?.into_inner().url;
    let refused = connect(&url, "v9.channel.k8s.io").await;
    assert!(refused.is_err_and(|error| error.to_string().contains("403")));
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_are_forwarded_in_channels() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("websocket").await?;
    let server = "while :; do nc -l -p 81 -e /bin/sh -c 'read line; echo \"got $line\"'; done";
    let id = stage.start(&pod, &stage.shell("main", server)).await?;
    let listening =
        async || Ok(stage.exec(&id, "cat /proc/net/tcp /proc/net/tcp6").await?.contains(":0051 ").then_some(()));
    until("the server listens", listening).await?;
    let request = PortForwardRequest { pod_sandbox_id: pod.id.clone(), port: vec![81, 9] };
    let url = stage.cri.runtime().port_forward(request).await?.into_inner().url;
    let mut socket = connect(&url, "v4.channel.k8s.io").await?;
    socket.send(Message::binary(b"\0word\n".to_vec())).await?;
    let mut channels = [const { Vec::new() }; 4];
    while let Some(message) = next(&mut socket).await? {
        channels[usize::from(message[0])].extend_from_slice(&message[1..]);
    }
    assert_eq!(channels[0], b"\x51\0got word\n");
    assert_eq!(channels[1], b"\x51\0");
    assert_eq!(channels[2], b"\x09\0");
    assert!(String::from_utf8_lossy(&channels[3][2..]).starts_with("error forwarding port 9 to pod"), "{channels:?}");
    stage.close().await
}
