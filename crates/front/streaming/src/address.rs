//! Where the server listens, and the address clients are told.
//!
//! Clients are on this host: kubelet and crictl dial the URL themselves. An address that means *every address* is no
//! address to dial, so they are told the loopback one of the same family.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How long a name may take to be resolved.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// The address that the configuration names.
pub(crate) async fn resolve(address: &str, port: u16) -> io::Result<SocketAddr> {
    let address = address.trim_start_matches('[').trim_end_matches(']');
    if address.is_empty() {
        return Ok((Ipv4Addr::UNSPECIFIED, port).into());
    }
    if let Ok(ip) = address.parse::<IpAddr>() {
        return Ok((ip, port).into());
    }
    let mut found = tokio::time::timeout(RESOLVE_LIMIT, tokio::net::lookup_host((address, port))).await??;
    found.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

/// The beginning of every URL, with the scheme that clients would otherwise guess wrongly.
pub(crate) fn base_url(bound: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("{scheme}://{}", SocketAddr::new(ip, bound.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_can_be_dialled() {
        let cases = [
            ("127.0.0.1:80", false, "http://127.0.0.1:80"),
            ("192.0.2.7:80", true, "https://192.0.2.7:80"),
            ("0.0.0.0:10010", false, "http://127.0.0.1:10010"),
            ("[::]:10010", false, "http://[::1]:10010"),
            ("[2001:db8::1]:443", true, "https://[2001:db8::1]:443"),
        ];
        for (bound, tls, url) in cases {
            assert_eq!(base_url(bound.parse().unwrap(), tls), url);
        }
    }

    #[tokio::test]
    async fn addresses_and_names_are_understood() {
        let cases = [("", "0.0.0.0:7"), ("10.0.0.1", "10.0.0.1:7"), ("::1", "[::1]:7"), ("[::1]", "[::1]:7")];
        for (text, address) in cases {
            assert_eq!(resolve(text, 7).await.unwrap(), address.parse().unwrap(), "{text:?}");
        }
        assert!(resolve("localhost", 7).await.unwrap().ip().is_loopback());
        assert!(resolve("no such host", 7).await.is_err());
    }
}
