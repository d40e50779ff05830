//! The way to a session, and what a client may do on it that a library would not let it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use crio_cri_api::v1::{AttachRequest, ExecRequest, PortForwardRequest};
use crio_testkit::spdy::{Client, Frame};
use crio_tests::{PATIENCE, Stage};
use rustix::net::sockopt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The streams of a command without input: an error stream and one for its output.
pub(crate) const ERROR: u32 = 1;
pub(crate) const OUTPUT: u32 = 3;

/// A URL of the streaming server.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    address: String,
    path: String,
    protocol: &'static str,
}

impl Door {
    /// To a command of which only the output is wanted.
    pub(crate) async fn exec(stage: &Stage, container: &str, script: &str) -> Result<Self> {
        let url = stage.cri.runtime().exec(command(container, script)).await?.into_inner().url;
        Self::of(&url, "v4.channel.k8s.io")
    }

    /// To a container's own output.
    pub(crate) async fn attach(stage: &Stage, container: &str) -> Result<Self> {
        let request = AttachRequest { container_id: container.to_owned(), stdout: true, ..Default::default() };
        let url = stage.cri.runtime().attach(request).await?.into_inner().url;
        Self::of(&url, "v4.channel.k8s.io")
    }

    /// To the ports of a pod.
    pub(crate) async fn forward(stage: &Stage, pod: &str) -> Result<Self> {
        let request = PortForwardRequest { pod_sandbox_id: pod.to_owned(), port: Vec::new() };
        let url = stage.cri.runtime().port_forward(request).await?.into_inner().url;
        Self::of(&url, "portforward.k8s.io")
    }

    /// What an RPC answered.
    pub(crate) fn of(url: &str, protocol: &'static str) -> Result<Self> {
        let rest = url.strip_prefix("http://").with_context(|| format!("no URL: {url}"))?;
        let (address, path) = rest.split_once('/').with_context(|| format!("no path: {url}"))?;
        Ok(Self { address: address.to_owned(), path: path.to_owned(), protocol })
    }

    /// A connection on which nothing was said.
    pub(crate) async fn connect(&self) -> Result<TcpStream> {
        Ok(timeout(PATIENCE, TcpStream::connect(&self.address)).await.context("nobody listens")??)
    }

    /// The request that switches to SPDY.
    pub(crate) fn spdy_request(&self) -> String {
        let Self { address, path, protocol } = self;
        format!(
            "POST /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
             X-Stream-Protocol-Version: {protocol}\r\nContent-Length: 0\r\n\r\n"
        )
    }

    /// The request that switches to WebSocket with a protocol.
    pub(crate) fn websocket_request(&self, protocol: &str) -> String {
        let Self { address, path, .. } = self;
        format!(
            "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             Sec-WebSocket-Protocol: {protocol}\r\n\r\n"
        )
    }

    /// A connection that has switched.
    pub(crate) async fn switch(&self, request: &str) -> Result<TcpStream> {
        let mut stream = self.connect().await?;
        stream.write_all(request.as_bytes()).await?;
        let head = head(&mut stream).await?;
        ensure!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Ok(stream)
    }

    /// A SPDY client that has opened nothing.
    pub(crate) async fn spdy(&self) -> Result<Client<TcpStream>> {
        Ok(Client::new(self.switch(&self.spdy_request()).await?))
    }

    /// A SPDY client that has opened both streams of a command.
    pub(crate) async fn begin(&self) -> Result<Client<TcpStream>> {
        let mut client = self.spdy().await?;
        client.open(ERROR, &[("streamtype", "error")]).await?;
        client.open(OUTPUT, &[("streamtype", "stdout")]).await?;
        Ok(client)
    }

    /// Runs the command as an honest client does, and checks what it wrote and that it succeeded.
    pub(crate) async fn says(&self, expected: &str) -> Result<()> {
        let mut client = self.begin().await?;
        let (mut output, mut verdict) = (Vec::new(), Vec::new());
        loop {
            match client.frame().await?.context("it left without a goodbye")? {
                Frame::Data { id: OUTPUT, bytes, .. } => output.extend(bytes),
                Frame::Data { id: ERROR, bytes, .. } => verdict.extend(bytes),
                Frame::GoAway { status: 0, .. } => break,
                Frame::SynReply { .. } | Frame::Reset { .. } => {}
                frame => bail!("{frame:?}"),
            }
        }
        let verdict = String::from_utf8_lossy(&verdict);
        ensure!(verdict.contains("Success"), "{verdict}");
        let output = String::from_utf8_lossy(&output);
        ensure!(output == expected, "{output:?} instead of {expected:?}");
        Ok(())
    }
}

/// A command of which only the output is wanted.
pub(crate) fn command(container: &str, script: &str) -> ExecRequest {
    let cmd = ["/bin/sh", "-c", script].map(str::to_owned).into();
    ExecRequest { container_id: container.to_owned(), cmd, stdout: true, ..Default::default() }
}

/// The head of an answer.
pub(crate) async fn head(stream: &mut TcpStream) -> Result<String> {
    let read = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.with_context(|| String::from_utf8_lossy(&head).into_owned())?);
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    };
    timeout(PATIENCE, read).await.context("no answer")?
}

/// All that still comes until the server has closed the connection, in order or not.
pub(crate) async fn until_closed(stream: &mut TcpStream, patience: Duration) -> Result<Vec<u8>> {
    let mut seen = Vec::new();
    let read = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            seen.extend_from_slice(&buffer[..count]);
        }
    };
    timeout(patience, read).await.context("the connection stays open")?;
    Ok(seen)
}

/// Sends for as long as the server takes it; how many bytes that were.
pub(crate) async fn flood(stream: &mut TcpStream, part: &[u8], limit_bytes: usize) -> usize {
    const STUCK: Duration = Duration::from_secs(1);
    let mut sent = 0;
    while sent < limit_bytes {
        match timeout(STUCK, stream.write(part)).await {
            Ok(Ok(count)) => sent += count,
            // Refused, or nobody reads.
            Ok(Err(_)) | Err(_) => break,
        }
    }
    sent
}

/// Drops a connection so that the server sees it reset.
pub(crate) fn break_off(stream: TcpStream) -> Result<()> {
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    drop(stream);
    Ok(())
}
