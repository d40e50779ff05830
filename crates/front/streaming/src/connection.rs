//! One client: TLS, one request, and a session when it can be had.
//!
//! HTTP/1.1 only, because both upgrades belong to it. What a client may send and how long it may take is limited here; a
//! session has limits of its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::handshake::{Agreed, Refusal, shake};
use crate::server::Shared;
use crate::session::{self, Client};
use crate::tls::Tls;
use crate::token::Target;
use crate::wire::{Line, Wire};

/// How long a client may take for its part of TLS.
const TLS_LIMIT: Duration = Duration::from_secs(10);
/// How long a client may take to send its request.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// How long switching protocols may take once it is agreed.
const UPGRADE_LIMIT: Duration = Duration::from_secs(10);
/// The most bytes of a request.
const MAX_REQUEST_BYTES: usize = 32 << 10;
/// The most headers of a request.
const MAX_HEADERS: usize = 100;

/// Serves a client until it has a session or is refused.
pub(crate) async fn serve(stream: TcpStream, tls: Option<Tls>, shared: Arc<Shared>) {
    let wire = match Wire::new(stream) {
        Ok(wire) => wire,
        Err(error) => return tracing::debug!(%error, "a streaming client was gone at once"),
    };
    let (line, stop) = (wire.line(), shared.stop.clone());
    let served = async {
        match tls {
            None => http(wire, line, shared).await,
            Some(tls) => match timeout(TLS_LIMIT, tls.accept(wire)).await {
                Ok(Ok(stream)) => http(stream, line, shared).await,
                Ok(Err(error)) => tracing::debug!(%error, "a streaming client did not agree on TLS"),
                Err(_) => tracing::debug!("a streaming client was too slow for TLS"),
            },
        }
    };
    // One that has no session yet is just dropped.
    let _stopped = stop.run_until_cancelled(served).await;
}

async fn http<T>(io: T, line: Line, shared: Arc<Shared>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(request, &line, &shared);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_LIMIT)
        .max_buf_size(MAX_REQUEST_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a streaming client's request ended early");
    }
}

fn answer(mut request: Request<Incoming>, line: &Line, shared: &Arc<Shared>) -> Response<Full<Bytes>> {
    match begin(&mut request, line, shared) {
        Ok(Agreed { headers, .. }) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            *response.headers_mut() = headers;
            response
        }
        Err(Refusal { status, headers, message }) => {
            tracing::debug!(%status, message, "a streaming request was refused");
            let mut response = Response::new(Full::from(format!("{message}\n")));
            *response.status_mut() = status;
            *response.headers_mut() = *headers;
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, plain);
            // One request, one connection: what is limited is connections.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

/// Redeems the token and begins the session, which waits for the answer to be sent.
fn begin(request: &mut Request<Incoming>, line: &Line, shared: &Arc<Shared>) -> Result<Agreed, Refusal> {
    let target = target(request.method(), request.uri().path(), shared)?;
    let agreed = shake(request.method(), request.headers(), &target)?;
    let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many streaming sessions"));
    };
    let upgrade = hyper::upgrade::on(request);
    let (transport, line, owner) = (agreed.transport, line.clone(), Arc::clone(shared));
    shared.spawn(async move {
        let _place = place;
        match timeout(UPGRADE_LIMIT, upgrade).await {
            Ok(Ok(upgraded)) => {
                let client = Client { io: TokioIo::new(upgraded), line };
                tracing::debug!(?transport, kind = target.word(), "a streaming session begins");
                session::serve(&owner, target, transport, client).await;
                tracing::debug!("a streaming session ended");
            }
            Ok(Err(error)) => tracing::debug!(%error, "a streaming client left before its session began"),
            Err(_) => tracing::debug!("a streaming client did not take the answer to its request"),
        }
    });
    Ok(agreed)
}

/// What the path of a request stands for. A token is used up by the attempt, whatever becomes of it.
fn target(method: &Method, path: &str, shared: &Shared) -> Result<Target, Refusal> {
    if !matches!(*method, Method::GET | Method::POST) {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "only GET and POST are served"));
    }
    let redeemed = parts(path).and_then(|(word, token)| {
        let target = shared.tokens.redeem(token, Instant::now())?;
        (target.word() == word).then_some(target)
    });
    redeemed.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "there is no such session, or not any more"))
}

/// The word and the token of a path.
fn parts(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.split_once('/').filter(|(_, token)| !token.is_empty() && !token.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_word_and_a_token() {
        assert_eq!(parts("/exec/abc"), Some(("exec", "abc")));
        for path in ["", "/", "/exec", "/exec/", "/exec/a/b", "exec/a", "//a/b"] {
            assert_eq!(parts(path), None, "{path}");
        }
    }
}
