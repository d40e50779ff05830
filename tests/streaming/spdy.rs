//! SPDY as clients of every age speak it, frame by frame.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use crio_cri_api::v1::{ExecRequest, PortForwardRequest};
use crio_testkit::spdy::{Client, FIN, Frame, data, ping};
use crio_tests::{Stage, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What came on the streams, by number, and which of them ended in order or were reset.
#[derive(Debug, Default)]
struct Heard {
    text: BTreeMap<u32, String>,
    finished: Vec<u32>,
    reset: Vec<u32>,
    went_away: bool,
}

impl Heard {
    fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Data { id, bytes, is_last } => {
                self.text.entry(id).or_default().push_str(&String::from_utf8_lossy(&bytes));
                if is_last {
                    self.finished.push(id);
                }
            }
            Frame::Reset { id, .. } => self.reset.push(id),
            Frame::GoAway { .. } => self.went_away = true,
            Frame::SynReply { .. } | Frame::Ping { .. } => {}
        }
    }

    fn text(&self, id: u32) -> &str {
        self.text.get(&id).map_or("", String::as_str)
    }
}

/// Switches to SPDY, and gives the protocol that was agreed on.
async fn upgrade(url: &str, protocols: &str) -> Result<(Client<TcpStream>, String)> {
    let (host, path) = url.strip_prefix("http://").and_then(|it| it.split_once('/')).context("a URL")?;
    let mut stream = TcpStream::connect(host).await?;
    let request = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
         X-Stream-Protocol-Version: {protocols}\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    let answer = String::from_utf8(answer)?.to_ascii_lowercase();
    ensure!(answer.starts_with("http/1.1 101 ") && answer.contains("upgrade: spdy/3.1"), "{answer}");
    let agreed = answer.lines().find_map(|line| line.strip_prefix("x-stream-protocol-version: "));
    Ok((Client::new(stream), agreed.context("a protocol is agreed on")?.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_remote_commands_is_spoken() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("spdy").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let script = "cat; echo err >&2; exit 3";
    for protocol in ["channel.k8s.io", "v2.channel.k8s.io", "v3.channel.k8s.io", "v4.channel.k8s.io"] {
        let request = ExecRequest {
            container_id: id.clone(),
            cmd: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            stdin: true,
            stdout: true,
            stderr: true,
            tty: false,
        };
        let url = stage.cri.runtime().exec(request).await?.into_inner().url;
        let (mut client, agreed) = upgrade(&url, &format!("v5.channel.k8s.io, {protocol}")).await?;
        assert_eq!(agreed, protocol);
        // In another order than usual, with one that nobody asked for, and with input before all are there.
        client.open(1, &[("streamtype", "stdout")]).await?;
        client.open(3, &[("streamtype", "stdin")]).await?;
        client.send(&data(3, 0, b"some ")).await?;
        client.open(5, &[("streamtype", "nonsense")]).await?;
        client.open(7, &[("streamtype", "stderr")]).await?;
        client.send(&ping(1)).await?;
        client.open(9, &[("streamtype", "error")]).await?;
        client.send(&data(3, FIN, b"input")).await?;
        let mut heard = Heard::default();
        for frame in client.rest().await? {
            heard.take(frame);
        }
        assert_eq!((heard.text(1), heard.text(7)), ("some input", "err\n"), "{protocol} {heard:?}");
        assert!(heard.reset.contains(&5), "{protocol} {heard:?}");
        assert!([1, 7, 9].iter().all(|stream| heard.finished.contains(stream)), "{protocol} {heard:?}");
        assert_eq!(heard.finished.last(), Some(&9), "the verdict comes last: {protocol} {heard:?}");
        assert!(heard.went_away, "{protocol} {heard:?}");
        if protocol.starts_with("v4") {
            let status: serde_json::Value = serde_json::from_str(heard.text(9))?;
            assert_eq!(status["details"]["causes"][0]["message"], "3", "{status}");
        } else {
            assert_eq!(heard.text(9), "command terminated with exit code 3", "{protocol}");
        }
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_fails_leaves_the_session_alone() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("spdy").await?;
    let server = "while :; do nc -l -p 81 -e /bin/sh -c 'read line; echo \"got $line\"'; done";
    let id = stage.start(&pod, &stage.shell("main", server)).await?;
    let listening =
        async || Ok(stage.exec(&id, "cat /proc/net/tcp /proc/net/tcp6").await?.contains(":0051 ").then_some(()));
    until("the server listens", listening).await?;
    let request = PortForwardRequest { pod_sandbox_id: pod.id.clone(), port: Vec::new() };
    let url = stage.cri.runtime().port_forward(request).await?.into_inner().url;
    let (mut client, _) = upgrade(&url, "portforward.k8s.io").await?;

    // Nothing of this makes sense.
    for (id, headers) in [
        (1, &[("streamtype", "data"), ("port", "0"), ("requestid", "1")][..]),
        (3, &[("streamtype", "data"), ("requestid", "1")][..]),
        (5, &[("port", "81"), ("requestid", "1")][..]),
        (7, &[("streamtype", "other"), ("port", "81"), ("requestid", "1")][..]),
    ] {
        client.open(id, headers).await?;
        assert!(matches!(client.frame().await?, Some(Frame::Reset { id: reset, .. }) if reset == id));
    }
    // Nobody listens there.
    client.open(11, &[("streamtype", "error"), ("port", "9"), ("requestid", "7")]).await?;
    client.send(&data(11, FIN, b"")).await?;
    client.open(13, &[("streamtype", "data"), ("port", "9"), ("requestid", "7")]).await?;
    client.send(&data(13, 0, b"lost")).await?;
    let mut heard = Heard::default();
    while !(heard.finished.contains(&11) && heard.reset.contains(&13)) {
        heard.take(client.frame().await?.context("the session goes on")?);
    }
    assert!(heard.text(11).starts_with("error forwarding port 9 to pod"), "{heard:?}");
    // A pair of an old client, which has no request id.
    client.open(21, &[("streamtype", "error"), ("port", "81")]).await?;
    client.send(&data(21, FIN, b"")).await?;
    client.open(23, &[("streamtype", "data"), ("port", "81")]).await?;
    client.send(&data(23, FIN, b"word\n")).await?;
    while !(heard.finished.contains(&21) && heard.finished.contains(&23)) {
        heard.take(client.frame().await?.context("the session goes on")?);
    }
    assert_eq!((heard.text(23), heard.text(21)), ("got word\n", ""));
    stage.close().await
}
