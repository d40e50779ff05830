//! Handshakes that are and that are not.

use crio_pods::{AttachRequest, ExecRequest, Wanted};

use super::*;
use crate::token::ForwardRequest;

fn exec() -> Target {
    Target::Exec(ExecRequest { container_id: "c".to_owned(), command: Vec::new(), wanted: Wanted::default() })
}

fn attach() -> Target {
    Target::Attach(AttachRequest { container_id: "c".to_owned(), wanted: Wanted::default() })
}

fn forward(ports: &[u16]) -> Target {
    Target::PortForward(ForwardRequest { sandbox_id: "p".to_owned(), ports: ports.to_vec() })
}

fn of(method: &Method, headers: &[(&'static str, &'static str)], target: &Target) -> Result<Agreed, Refusal> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_static(value));
    }
    shake(method, &map, target)
}

fn spdy_headers(versions: &[&'static str]) -> Vec<(&'static str, &'static str)> {
    let upgrade = [("connection", "keep-alive, Upgrade"), ("upgrade", "spdy/3.1")];
    upgrade.into_iter().chain(versions.iter().map(|version| ("x-stream-protocol-version", *version))).collect()
}

fn websocket_headers(protocols: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut headers = vec![
        ("connection", "Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    if !protocols.is_empty() {
        headers.push(("sec-websocket-protocol", protocols));
    }
    headers
}

fn refused(answer: Result<Agreed, Refusal>) -> u16 {
    answer.expect_err("refused").status.as_u16()
}

#[test]
fn spdy_needs_its_headers_and_a_common_protocol() {
    for target in [exec(), attach()] {
        let headers = spdy_headers(&["v5.channel.k8s.io", "v4.channel.k8s.io, v3.channel.k8s.io"]);
        let agreed = of(&Method::POST, &headers, &target).unwrap();
        assert_eq!(agreed.transport, Transport::Command(COMMAND[0]));
        assert_eq!(agreed.headers[UPGRADE], "SPDY/3.1");
        assert_eq!(agreed.headers[CONNECTION], "Upgrade");
        assert_eq!(agreed.headers[STREAM_VERSION], "v4.channel.k8s.io");
    }
    let agreed = of(&Method::GET, &spdy_headers(&["portforward.k8s.io"]), &forward(&[])).unwrap();
    assert_eq!(agreed.transport, Transport::Forward);

    assert_eq!(refused(of(&Method::POST, &[], &exec())), 400);
    assert_eq!(refused(of(&Method::POST, &[("upgrade", "SPDY/3.1")], &exec())), 400);
    assert_eq!(refused(of(&Method::POST, &[("connection", "upgrade"), ("upgrade", "h2c")], &exec())), 400);
    assert_eq!(refused(of(&Method::POST, &spdy_headers(&[]), &exec())), 400);
    assert_eq!(refused(of(&Method::POST, &spdy_headers(&[" "]), &exec())), 400);
    assert_eq!(refused(of(&Method::POST, &spdy_headers(&["v4.channel.k8s.io"]), &forward(&[]))), 403);
    let refusal = of(&Method::POST, &spdy_headers(&["v9.channel.k8s.io"]), &exec()).unwrap_err();
    assert_eq!(refusal.status, StatusCode::FORBIDDEN);
    let ours: Vec<_> = refusal.headers.get_all(ACCEPTED_STREAM_VERSIONS).iter().collect();
    assert_eq!(ours, COMMAND.map(|protocol| protocol.name));
}

#[test]
fn websocket_needs_its_headers_and_a_common_protocol() {
    let agreed = of(&Method::GET, &websocket_headers("v9.channel.k8s.io, v5.channel.k8s.io"), &exec()).unwrap();
    assert!(matches!(agreed.transport, Transport::Channels(protocol) if protocol.closes));
    // The example of RFC 6455, section 1.3.
    assert_eq!(agreed.headers[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(agreed.headers[SEC_WEBSOCKET_PROTOCOL], "v5.channel.k8s.io");
    let agreed = of(&Method::GET, &websocket_headers(""), &attach()).unwrap();
    assert!(!agreed.headers.contains_key(SEC_WEBSOCKET_PROTOCOL));
    let agreed = of(&Method::GET, &websocket_headers("SPDY/3.1+portforward.k8s.io"), &forward(&[])).unwrap();
    assert_eq!(agreed.transport, Transport::Tunnel);

    assert_eq!(refused(of(&Method::POST, &websocket_headers(""), &exec())), 400);
    assert_eq!(refused(of(&Method::GET, &websocket_headers("")[..3], &exec())), 400);
    assert_eq!(refused(of(&Method::GET, &websocket_headers("")[..2], &exec())), 426);
    assert_eq!(refused(of(&Method::GET, &websocket_headers("v9.channel.k8s.io"), &exec())), 403);
    assert_eq!(refused(of(&Method::GET, &websocket_headers("SPDY/3.1+portforward.k8s.io"), &exec())), 403);
    assert_eq!(refused(of(&Method::GET, &websocket_headers("v5.channel.k8s.io"), &forward(&[80]))), 403);
}

#[test]
fn channels_forward_as_many_ports_as_they_have_numbers_for() {
    let of_ports = |protocol, count| of(&Method::GET, &websocket_headers(protocol), &forward(&vec![80; count]));
    assert!(of_ports("", 1).is_ok());
    assert!(of_ports("v4.channel.k8s.io", MAX_PORTS).is_ok());
    assert!(of_ports("v4.base64.channel.k8s.io", MAX_PORTS_BASE64).is_ok());
    assert_eq!(refused(of_ports("", 0)), 400);
    assert_eq!(refused(of_ports("v4.channel.k8s.io", MAX_PORTS + 1)), 400);
    assert_eq!(refused(of_ports("v4.base64.channel.k8s.io", MAX_PORTS_BASE64 + 1)), 400);
}
