//! Questions to the inspection interface: HTTP/1.1 on the same socket.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use axum::body::Body;
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

use super::QUESTION;

/// The largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// What the daemon at `socket` answers to `GET path`.
pub async fn get(socket: &Path, path: &str) -> Result<Vec<u8>> {
    tokio::time::timeout(QUESTION, exchange(socket, path))
        .await
        .with_context(|| format!("no answer to {path} within {} s", QUESTION.as_secs()))?
}

async fn exchange(socket: &Path, path: &str) -> Result<Vec<u8>> {
    let stream = UnixStream::connect(socket).await.context("cannot connect")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The connection has to be driven while the answer is read, and ends with it.
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::get(path).header(header::HOST, "localhost").body(Body::empty())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
    let body = body.map_err(|failure| anyhow!(failure))?.to_bytes();
    if !status.is_success() {
        bail!("{path}: {status}: {}", String::from_utf8_lossy(&body).trim());
    }
    Ok(body.to_vec())
}
