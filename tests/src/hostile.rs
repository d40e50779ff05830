//! A registry in this process that answers what the test tells it to: wrong bytes, half of them, or nothing at all.
//!
//! It speaks as much HTTP/1.1 as a registry client needs: one request a connection, no ranges.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use crio_testkit::Image;
use crio_testkit::image::Blob;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How much of a slow answer goes out at once.
const SLOW_CHUNK_BYTES: usize = 64 << 10;

/// How a path is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Truthfully.
    Whole(Blob),
    /// The header promises everything, and the connection ends after so many bytes.
    Cut(Blob, usize),
    /// In pieces, with a pause between them.
    Slow(Blob, Duration),
    /// With a status and a text.
    Status(u16, String),
    /// Never.
    Hang,
}

/// Everything a registry answers, by path.
pub type Answers = BTreeMap<String, Answer>;

/// The registry; it ends when this is dropped.
#[derive(Debug)]
pub struct HostileRegistry {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

/// What an honest registry would answer for an image under `repository:tag`.
#[must_use]
pub fn honest(image: &Image, repository: &str, tag: &str) -> Answers {
    let at = |kind: &str, reference: &str| format!("/v2/{repository}/{kind}/{reference}");
    let blobs = image.blobs.iter().map(|blob| (at("blobs", &blob.digest), blob));
    let manifests = image.manifests.iter().chain([&image.root]);
    let manifests = manifests.map(|manifest| (at("manifests", &manifest.digest), manifest));
    blobs
        .chain(manifests)
        .chain([(at("manifests", tag), &image.root)])
        .map(|(path, blob)| (path, Answer::Whole(blob.clone())))
        .collect()
}

impl HostileRegistry {
    /// Starts to answer.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start(answers: Answers) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let requests = Arc::default();
        let server = tokio::spawn(serve(listener, Arc::new(answers), Arc::clone(&requests)));
        Ok(Self { port, requests, server })
    }

    /// Host and port, as the first part of an image name.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The lines that asked for a path that ends in `end`.
    #[must_use]
    pub fn requests(&self, end: &str) -> Vec<String> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().filter(|path| path.ends_with(end)).cloned().collect()
    }
}

impl Drop for HostileRegistry {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, answers: Arc<Answers>, requests: Arc<Mutex<Vec<String>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (answers, requests) = (Arc::clone(&answers), Arc::clone(&requests));
        connections.spawn(async move {
            // A client that leaves is what half of these tests are about.
            let _left = connection(stream, &answers, &requests).await;
        });
    }
}

async fn connection(stream: TcpStream, answers: &Answers, requests: &Mutex<Vec<String>>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    stream.read_line(&mut request).await?;
    let mut header = String::from("x");
    while !header.trim().is_empty() {
        header.clear();
        stream.read_line(&mut header).await?;
    }
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method == "GET" {
        requests.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
    }
    let answer = match answers.get(path) {
        Some(answer) => answer.clone(),
        None if path == "/v2/" => Answer::Status(200, "{}".to_owned()),
        None => Answer::Status(404, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}".to_owned()),
    };
    reply(stream.get_mut(), answer, method == "HEAD").await
}

async fn reply(stream: &mut TcpStream, answer: Answer, head_only: bool) -> Result<()> {
    let (status, blob, length, pause) = match answer {
        Answer::Hang => return std::future::pending().await,
        Answer::Status(status, text) => (status, text_blob(&text), text.len(), None),
        Answer::Cut(blob, length) => (200, blob, length, None),
        Answer::Whole(blob) => {
            let length = blob.bytes.len();
            (200, blob, length, None)
        }
        Answer::Slow(blob, pause) => {
            let length = blob.bytes.len();
            (200, blob, length, Some(pause))
        }
    };
    let head = format!(
        "HTTP/1.1 {status} Because\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        blob.media_type,
        blob.bytes.len()
    );
    stream.write_all(head.as_bytes()).await?;
    if head_only {
        return Ok(());
    }
    for chunk in blob.bytes[..length].chunks(SLOW_CHUNK_BYTES) {
        stream.write_all(chunk).await?;
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
    stream.shutdown().await?;
    Ok(())
}

fn text_blob(text: &str) -> Blob {
    Blob { media_type: "application/json".to_owned(), digest: String::new(), bytes: text.as_bytes().to_vec() }
}
