//! The server itself: URLs, tokens, refusals, TLS, and its end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use crio_cri_api::v1::{AttachRequest, ExecRequest, PortForwardRequest};
use crio_testkit::Options;
use crio_tests::crictl::{TRANSPORTS, run, start};
use crio_tests::{PATIENCE, Stage, refused, until};
use tonic::Code;

fn exec_request(id: &str) -> ExecRequest {
    ExecRequest { container_id: id.to_owned(), cmd: vec!["true".to_owned()], stdout: true, ..Default::default() }
}

async fn url(stage: &Stage, id: &str) -> Result<String> {
    Ok(stage.cri.runtime().exec(exec_request(id)).await?.into_inner().url)
}

/// The first line of the answer to a request for a path of the URL's server.
fn ask(url: &str, method: &str, path: &str, headers: &str) -> Result<String> {
    let host = url.strip_prefix("http://").and_then(|it| it.split('/').next()).context("a URL has a host")?;
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

fn path(url: &str) -> String {
    url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_good_once_and_for_its_purpose() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("server").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let first = url(&stage, &id).await?;
    let token = first.rsplit('/').next().context("a URL has a token")?;
    ensure!(first.starts_with("http://127.0.0.1:") && first.contains("/exec/") && token.len() == 43, "{first}");

    let spdy = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n";
    let unknown = format!("{spdy}X-Stream-Protocol-Version: v9.channel.k8s.io\r\n");
    let answer = |url: &str, headers: &str| ask(url, "POST", &path(url), headers);
    ensure!(answer(&first, "")?.contains(" 400 "));
    ensure!(answer(&first, "")?.contains(" 404 "), "a token is used up even by a bad request");
    ensure!(answer(&url(&stage, &id).await?, spdy)?.contains(" 400 "));
    ensure!(answer(&url(&stage, &id).await?, &unknown)?.contains(" 403 "));
    let other = url(&stage, &id).await?;
    ensure!(ask(&other, "GET", &path(&other).replace("/exec/", "/attach/"), "")?.contains(" 404 "));
    ensure!(answer(&other, "")?.contains(" 404 "), "a token is used up even in the wrong place");
    for path in ["/", "/exec/", "/exec/none", "/exec/a/b", "/other/none"] {
        ensure!(ask(&first, "GET", path, "")?.contains(" 404 "), "{path}");
    }
    ensure!(ask(&first, "DELETE", "/exec/none", "")?.contains(" 405 "));
    // The answer may be lost, since the server does not wait for the rest of such a request.
    let long = format!("X-Long: {}\r\n", "x".repeat(256 << 10));
    let answer = ask(&first, "GET", "/exec/none", &long).unwrap_or_default();
    ensure!(answer.is_empty() || answer.contains(" 431 "), "{answer}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_at_once() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("server").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let created = stage.cri.create(&pod.id, &pod.config, &stage.shell("created", "sleep 1000")).await?;
    let good = exec_request(&id);
    let cases = [
        (ExecRequest { container_id: String::new(), ..good.clone() }, Code::InvalidArgument),
        (ExecRequest { cmd: Vec::new(), ..good.clone() }, Code::InvalidArgument),
        (ExecRequest { stdout: false, ..good.clone() }, Code::InvalidArgument),
        (ExecRequest { tty: true, stderr: true, ..good.clone() }, Code::InvalidArgument),
        (ExecRequest { container_id: "none".to_owned(), ..good.clone() }, Code::NotFound),
        (ExecRequest { container_id: created.clone(), ..good.clone() }, Code::NotFound),
    ];
    for (request, code) in cases {
        refused(stage.cri.runtime().exec(request).await, code, &[])?;
    }
    let attach = |container_id: &str, stdout| AttachRequest {
        container_id: container_id.to_owned(),
        stdout,
        ..Default::default()
    };
    refused(stage.cri.runtime().attach(attach(&id, false)).await, Code::InvalidArgument, &[])?;
    refused(stage.cri.runtime().attach(attach("none", true)).await, Code::NotFound, &[])?;
    refused(stage.cri.runtime().attach(attach(&created, true)).await, Code::NotFound, &[])?;
    let forward = |id: &str, port: &[i32]| PortForwardRequest { pod_sandbox_id: id.to_owned(), port: port.to_vec() };
    refused(stage.cri.runtime().port_forward(forward("", &[])).await, Code::InvalidArgument, &[])?;
    refused(stage.cri.runtime().port_forward(forward(&pod.id, &[0])).await, Code::InvalidArgument, &["port"])?;
    refused(stage.cri.runtime().port_forward(forward("none", &[])).await, Code::NotFound, &[])?;

    for _ in 0..1000 {
        url(&stage, &id).await?;
    }
    refused(stage.cri.runtime().exec(good).await, Code::ResourceExhausted, &[])?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stops_ends_its_sessions() -> Result<()> {
    let mut stage = Stage::set().await?;
    let pod = stage.pod("server").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let mut clients = Vec::new();
    for transport in TRANSPORTS {
        clients.push(start(&stage, &["exec", "-r", transport, &id, "/bin/sleep", "4442"], Stdio::null())?);
    }
    let count = "grep -l \"sleep.444[2]\" /proc/[0-9]*/cmdline 2>/dev/null | wc -l";
    until("both run", async || Ok((stage.exec(&id, count).await?.trim() == "2").then_some(()))).await?;
    let before = Instant::now();
    ensure!(stage.node.stop().await?.success());
    ensure!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
    for client in clients {
        let output = client.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && errors.contains("stopping"), "{errors}");
    }
    stage.node.start_daemon().await?;
    stage.reconnect().await?;
    until("neither runs", async || Ok((stage.exec(&id, count).await?.trim() == "0").then_some(()))).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_is_ended() -> Result<()> {
    let crio_conf = "[crio.api]\nstream_idle_timeout = \"1s\"\nstream_address = \"::1\"\n".to_owned();
    let stage = Stage::set_with(Options { crio_conf, ..Options::default() }).await?;
    let pod = stage.pod("server").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    ensure!(url(&stage, &id).await?.starts_with("http://[::1]:"));
    let busy = run(&stage, &["exec", &id, "/bin/sh", "-c", "for i in 1 2 3 4 5 6; do echo $i; sleep 0.4; done"])?;
    ensure!(busy.status.success(), "{busy:?}");
    let idle = run(&stage, &["exec", &id, "/bin/sleep", "1000"])?;
    ensure!(!idle.status.success() && String::from_utf8_lossy(&idle.stderr).contains("idle"), "{idle:?}");
    stage.close().await
}

/// A certificate of an authority, or an authority, with its key.
fn make_certificate(name: &str, authority: Option<&str>) -> Result<()> {
    let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    command.args(["-keyout", &key, "-out", &certificate]);
    if let Some(authority) = authority {
        let (issuer, issuer_key) = (format!("{authority}.crt"), format!("{authority}.key"));
        command.args(["-CA", &issuer, "-CAkey", &issuer_key, "-addext", "basicConstraints=critical,CA:FALSE"]);
    }
    let made = command.output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_can_be_encrypted() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let at = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    make_certificate(&at("ca"), None)?;
    make_certificate(&at("server"), Some(&at("ca")))?;
    make_certificate(&at("client"), Some(&at("ca")))?;
    let (authority, certificate, key) = (at("ca.crt"), at("server.crt"), at("server.key"));
    let crio_conf = format!(
        "[crio.api]\nstream_enable_tls = true\nstream_tls_cert = {certificate:?}\nstream_tls_key = {key:?}\n\
         stream_tls_ca = {authority:?}\n"
    );
    let stage = Stage::set_with(Options { crio_conf, ..Options::default() }).await?;
    let pod = stage.pod("server").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    ensure!(url(&stage, &id).await?.starts_with("https://127.0.0.1:"));
    let (certificate, key) = (at("client.crt"), at("client.key"));
    for transport in TRANSPORTS {
        let trusted = ["exec", "-r", transport, "--tls-ca", &authority];
        let identified =
            [&trusted[..], &["--tls-cert", &certificate, "--tls-key", &key, &id, "echo", "secret"]].concat();
        let output = run(&stage, &identified)?;
        ensure!(output.stdout == b"secret\n", "{transport}: {output:?}");
        let output = run(&stage, &[&trusted[..], &[&id, "echo", "secret"]].concat())?;
        ensure!(!output.status.success(), "{transport}: a client without a certificate was served: {output:?}");
    }
    stage.close().await
}
