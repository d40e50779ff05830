//! Connections to a CRI socket.
//!
//! A connection is HTTP/2 with prior knowledge over a unix socket, with the authority `localhost`, as kubelet's own
//! client sends it. It connects at once, so that a missing daemon shows here and not in the first call.

use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::v1::image_service_client::ImageServiceClient;
use crate::v1::runtime_service_client::RuntimeServiceClient;

/// The largest message a client made here sends or accepts: what CRI-O's server allows in both directions.
pub const MAX_MESSAGE_BYTES: usize = 80 << 20;

/// A CRI socket could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("connecting to the CRI socket {}", path.display())]
pub struct ConnectError {
    /// The socket.
    pub path: PathBuf,
    /// What the transport says.
    pub source: tonic::transport::Error,
}

/// Connects to the CRI server that listens on the unix socket `path`; a `unix://` prefix is accepted.
///
/// # Errors
/// [`ConnectError`] when nobody accepts there or the peer does not speak HTTP/2.
pub async fn connect(path: impl AsRef<Path>) -> Result<Channel, ConnectError> {
    let path = socket_path(path.as_ref());
    let target = path.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let target = target.clone();
        async move { UnixStream::connect(target).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .map_err(|source| ConnectError { path, source })
}

/// A client of the runtime service with the message limits of [`MAX_MESSAGE_BYTES`].
#[must_use]
pub fn runtime_client(channel: Channel) -> RuntimeServiceClient<Channel> {
    RuntimeServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// A client of the image service with the message limits of [`MAX_MESSAGE_BYTES`].
#[must_use]
pub fn image_client(channel: Channel) -> ImageServiceClient<Channel> {
    ImageServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

fn socket_path(given: &Path) -> PathBuf {
    let text = given.to_string_lossy();
    text.strip_prefix("unix://").map_or_else(|| given.to_owned(), PathBuf::from)
}
