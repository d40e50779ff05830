//! From an HTTP request to an agreed transport: what must be in the request, and the answer that switches protocols.
//!
//! A client upgrades to SPDY/3.1 or to WebSocket. Which protocols it may speak then depends on what its token is for.

use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::protocol::{
    CHANNELS, COMMAND, ChannelProtocol, CommandProtocol, Encoding, FORWARD, FORWARD_CHANNELS, TUNNEL, agree, names,
};
use crate::token::Target;
use crate::websocket::forward::{MAX_PORTS, MAX_PORTS_BASE64};

const STREAM_VERSION: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const ACCEPTED_STREAM_VERSIONS: HeaderName = HeaderName::from_static("x-accepted-stream-protocol-versions");
const SPDY: &str = "SPDY/3.1";
const WEBSOCKET: &str = "websocket";
const WEBSOCKET_VERSION: &str = "13";

/// How a session will be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// A command over SPDY.
    Command(CommandProtocol),
    /// Port forwarding over SPDY.
    Forward,
    /// A command, or port forwarding, over WebSocket channels.
    Channels(ChannelProtocol),
    /// Port forwarding over SPDY over WebSocket.
    Tunnel,
}

/// What was agreed.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) transport: Transport,
    /// Headers of the answer, which has the status 101.
    pub(crate) headers: HeaderMap,
}

/// Why the protocol is not switched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// Boxed, because most have none.
    pub(crate) headers: Box<HeaderMap>,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, headers: Box::default(), message: message.into() }
    }
}

/// Agrees with a client on how its session is carried.
pub(crate) fn shake(method: &Method, headers: &HeaderMap, target: &Target) -> Result<Agreed, Refusal> {
    if !has_word(headers, &CONNECTION, "upgrade") {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the header Connection must be Upgrade"));
    }
    if has_word(headers, &UPGRADE, WEBSOCKET) {
        websocket(method, headers, target)
    } else if has_word(headers, &UPGRADE, SPDY) {
        spdy(headers, target)
    } else {
        Err(Refusal::new(StatusCode::BAD_REQUEST, "the header Upgrade must be SPDY/3.1 or websocket"))
    }
}

fn spdy(headers: &HeaderMap, target: &Target) -> Result<Agreed, Refusal> {
    let offered = names(headers.get_all(&STREAM_VERSION).iter());
    if offered.is_empty() {
        let message = "the header X-Stream-Protocol-Version must name a protocol";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
    }
    let (transport, ours): (_, Vec<&'static str>) = match target {
        Target::PortForward(_) => {
            (agree(&offered, &FORWARD, |name| name).map(|name| (Transport::Forward, name)), FORWARD.to_vec())
        }
        Target::Exec(_) | Target::Attach(_) => (
            agree(&offered, &COMMAND, |it| it.name).map(|it| (Transport::Command(it), it.name)),
            COMMAND.iter().map(|protocol| protocol.name).collect(),
        ),
    };
    let Some((transport, name)) = transport else {
        let mut refusal = none_in_common(&offered);
        for name in ours {
            refusal.headers.append(ACCEPTED_STREAM_VERSIONS, HeaderValue::from_static(name));
        }
        return Err(refusal);
    };
    let mut answer = switching(SPDY);
    answer.insert(STREAM_VERSION, HeaderValue::from_static(name));
    Ok(Agreed { transport, headers: answer })
}

fn websocket(method: &Method, headers: &HeaderMap, target: &Target) -> Result<Agreed, Refusal> {
    let bad = |message| Err(Refusal::new(StatusCode::BAD_REQUEST, message));
    if method != Method::GET {
        return bad("a WebSocket connection begins with GET");
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != WEBSOCKET_VERSION.as_bytes()) {
        let mut refusal = Refusal::new(StatusCode::UPGRADE_REQUIRED, "the WebSocket version must be 13");
        refusal.headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(WEBSOCKET_VERSION));
        return Err(refusal);
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
        return bad("the header Sec-WebSocket-Key is missing");
    };
    let offered = names(headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter());
    let (transport, name) = websocket_transport(&offered, target)?;
    let mut answer = switching("websocket");
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        answer.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if !name.is_empty() {
        answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    Ok(Agreed { transport, headers: answer })
}

fn websocket_transport(offered: &[&str], target: &Target) -> Result<(Transport, &'static str), Refusal> {
    // A client that names nothing means the oldest.
    let offers = if offered.is_empty() { &[""][..] } else { offered };
    let channels = |ours: &[ChannelProtocol]| {
        let agreed = agree(offers, ours, |protocol| protocol.name).ok_or_else(|| none_in_common(offered))?;
        Ok((Transport::Channels(agreed), agreed.name))
    };
    match target {
        Target::Exec(_) | Target::Attach(_) => channels(&CHANNELS),
        Target::PortForward(_) if offers.contains(&TUNNEL) => Ok((Transport::Tunnel, TUNNEL)),
        Target::PortForward(request) => {
            let (transport, name) = channels(&FORWARD_CHANNELS)?;
            let base64 = matches!(transport, Transport::Channels(it) if it.encoding == Encoding::Base64);
            let most = if base64 { MAX_PORTS_BASE64 } else { MAX_PORTS };
            if request.ports.is_empty() || request.ports.len() > most {
                let message = format!("this protocol forwards 1 to {most} ports, named in the request");
                return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
            }
            Ok((transport, name))
        }
    }
}

fn switching(protocol: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (UPGRADE, HeaderValue::from_static(protocol)),
    ])
}

fn none_in_common(offered: &[&str]) -> Refusal {
    Refusal::new(
        StatusCode::FORBIDDEN,
        format!("none of the client's protocols is spoken here: {}", offered.join(", ")),
    )
}

/// Whether a header contains a word, in any case and among any others.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    texts.map(str::to_ascii_lowercase).any(|text| text.contains(&word))
}

#[cfg(test)]
mod tests;
