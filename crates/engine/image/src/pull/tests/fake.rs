//! A registry that does what a test tells it: plain HTTP on a loopback port, every request kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::images::TestImage;
use crate::digest::Digest;
use crate::manifest::{OCI_INDEX, OCI_MANIFEST};

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Length to announce, when it is not the body's.
    pub(super) announced: Option<usize>,
    /// Send so many bytes of the body and then do this.
    pub(super) stop: Option<(usize, Stop)>,
    /// Whether the body is the answer to a `Range`.
    pub(super) ranged: bool,
}

/// How an answer that is not completed goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Close,
    Stall,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), announced: None, stop: None, ranged: true }
    }

    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::status(200) }
    }

    pub(super) fn redirect(target: &str) -> Self {
        Self::status(307).with("Location", target)
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn stopping(mut self, after: usize, stop: Stop) -> Self {
        self.stop = Some((after, stop));
        self
    }
}

type Rule = Box<dyn FnMut(&Seen) -> Option<Reply> + Send>;

#[derive(Default)]
struct State {
    content: HashMap<String, Reply>,
    rules: Vec<Rule>,
    requests: Vec<Seen>,
    blob_bytes: u64,
}

/// A registry under a test's control. Dropping it closes its port.
pub(super) struct FakeRegistry {
    host: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeRegistry {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { host, state, task }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Serves an image as `app:1` and by its digest.
    pub(super) fn serve(&self, image: &TestImage) {
        self.serve_as(image, "1");
        self.put(&format!("manifests/{}", image.manifest_digest()), manifest(image));
        for blob in image.blobs.iter().chain([&image.config]) {
            self.put(&format!("blobs/{}", Digest::of(blob)), Reply::ok(blob.clone()));
        }
    }

    pub(super) fn serve_as(&self, image: &TestImage, tag: &str) {
        self.put(&format!("manifests/{tag}"), manifest(image));
    }

    pub(super) fn serve_index(&self, image: &TestImage, tag: &str) {
        self.put(&format!("manifests/{tag}"), Reply::ok(image.index()).with("Content-Type", OCI_INDEX));
    }

    /// Serves a reply below `/v2/app/`.
    pub(super) fn put(&self, path: &str, reply: Reply) {
        self.state.lock().unwrap().content.insert(format!("/v2/app/{path}"), reply);
    }

    /// Asks a rule before anything else; the first rule that answers counts.
    pub(super) fn rule(&self, rule: impl FnMut(&Seen) -> Option<Reply> + Send + 'static) {
        self.state.lock().unwrap().rules.push(Box::new(rule));
    }

    pub(super) fn requests(&self) -> Vec<Seen> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Paths of the requests that contain `part`.
    pub(super) fn count(&self, part: &str) -> usize {
        self.requests().iter().filter(|seen| seen.path.contains(part)).count()
    }

    /// Bytes of blobs that were sent.
    pub(super) fn blob_bytes(&self) -> u64 {
        self.state.lock().unwrap().blob_bytes
    }
}

fn manifest(image: &TestImage) -> Reply {
    Reply::ok(image.manifest.clone()).with("Content-Type", OCI_MANIFEST)
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    while let Some(seen) = read_request(&mut stream).await {
        let reply = answer(&state, &seen);
        let is_blob = seen.path.contains("/blobs/");
        if write_reply(&mut stream, reply, &seen, is_blob.then_some(&state)).await.is_none() {
            return;
        }
    }
}

fn answer(state: &Mutex<State>, seen: &Seen) -> Reply {
    let mut state = state.lock().unwrap();
    state.requests.push(seen.clone());
    let ruled = state.rules.iter_mut().find_map(|rule| rule(seen));
    let stored = || state.content.get(&seen.path).cloned();
    ruled.or_else(stored).unwrap_or_else(|| {
        let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
        Reply { body: body.into(), ..Reply::status(404) }
    })
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { method, path, headers, body: String::from_utf8(body).ok()? })
}

/// Writes an answer; `None` when the connection is of no further use.
async fn write_reply(
    stream: &mut BufReader<TcpStream>,
    mut reply: Reply,
    seen: &Seen,
    counted: Option<&Arc<Mutex<State>>>,
) -> Option<()> {
    let range = seen.header("range").and_then(|value| value.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    if let Some(offset) = range.filter(|_| reply.ranged && reply.status == 200) {
        let offset: usize = offset;
        let total = reply.body.len();
        reply.body.drain(..offset.min(total));
        reply.status = 206;
        reply = reply.with("Content-Range", &format!("bytes {offset}-{}/{total}", total.max(1) - 1));
    }
    let announced = reply.announced.unwrap_or(reply.body.len());
    let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {announced}\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.get_mut().write_all(head.as_bytes()).await.ok()?;
    let end = reply.stop.map_or(reply.body.len(), |(after, _)| after.min(reply.body.len()));
    for piece in reply.body[..end].chunks(16 << 10) {
        stream.get_mut().write_all(piece).await.ok()?;
        if let Some(state) = counted {
            state.lock().unwrap().blob_bytes += piece.len() as u64;
        }
    }
    match reply.stop {
        None if announced == reply.body.len() => Some(()),
        Some((_, Stop::Stall)) => {
            // Until the client loses patience and closes.
            let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_u8()).await;
            None
        }
        _ => None,
    }
}
