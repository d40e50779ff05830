//! Connections to a pod's own loopback address, for port forwarding.
//!
//! A socket belongs to the network namespace it was made in, wherever it is used afterwards: a short-lived thread
//! enters the pod's namespace, makes the sockets and ends; connecting and copying go on as for any other socket.
//! IPv4 is tried first, then IPv6, as a program inside the pod would resolve `localhost`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use crio_sys::namespace::{self, NamespaceError, NamespaceKind};
use crio_types::{Classified, ErrorKind};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tokio::net::{TcpSocket, TcpStream};

use crate::namespaces::joined;

/// How long a connection over loopback may take. Only a server whose backlog is full lets anybody wait at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectLocalError {
    /// The pod's network is gone, or the kernel refused to enter.
    #[error("cannot enter the pod's network")]
    Enter {
        /// What was attempted.
        source: NamespaceError,
    },
    /// Nobody listens on the port, on neither address; or the kernel refused.
    #[error("cannot connect to port {port}: 127.0.0.1: {ipv4}; [::1]: {ipv6}")]
    Connect {
        /// The port.
        port: u16,
        /// What became of the first attempt.
        ipv4: io::Error,
        /// And of the second.
        ipv6: io::Error,
    },
}

impl Classified for ConnectLocalError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Enter { source: NamespaceError::NotPinned { .. } | NamespaceError::Open { .. } } => {
                ErrorKind::NotFound
            }
            Self::Enter { .. } => ErrorKind::Internal,
            Self::Connect { .. } => ErrorKind::Unavailable,
        }
    }
}

/// Unconnected sockets of one network namespace.
struct Sockets {
    ipv4: io::Result<OwnedFd>,
    ipv6: io::Result<OwnedFd>,
}

/// Connects to a port of the loopback address inside `netns`, or of the host when there is none.
///
/// # Errors
/// The namespace cannot be entered, or nobody listens.
pub async fn connect_local(netns: Option<&Path>, port: u16) -> Result<TcpStream, ConnectLocalError> {
    let sockets = match netns {
        None => Sockets::open(),
        Some(netns) => {
            let netns = netns.to_owned();
            let opened = joined(tokio::task::spawn_blocking(move || Sockets::open_in(&netns)).await);
            opened.map_err(|source| ConnectLocalError::Enter { source })?
        }
    };
    let ipv4 = match connect(sockets.ipv4, (Ipv4Addr::LOCALHOST, port).into()).await {
        Ok(connected) => return Ok(connected),
        Err(error) => error,
    };
    let ipv6 = connect(sockets.ipv6, (Ipv6Addr::LOCALHOST, port).into()).await;
    ipv6.map_err(|ipv6| ConnectLocalError::Connect { port, ipv4, ipv6 })
}

impl Sockets {
    fn open() -> Self {
        let open = |family| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            Ok(socket_with(family, SocketType::STREAM, flags, None)?)
        };
        Self { ipv4: open(AddressFamily::INET), ipv6: open(AddressFamily::INET6) }
    }

    fn open_in(netns: &Path) -> Result<Self, NamespaceError> {
        let namespace = namespace::open(netns)?;
        namespace::run_in(namespace.as_fd(), NamespaceKind::Network, Self::open)
    }
}

async fn connect(socket: io::Result<OwnedFd>, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket?));
    tokio::time::timeout(CONNECT_LIMIT, socket.connect(address)).await?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn listener(address: &str) -> (TcpListener, u16) {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[tokio::test]
    async fn either_address_of_the_host_is_found() {
        for address in ["127.0.0.1", "::1"] {
            let (listener, port) = listener(address);
            let mut near = connect_local(None, port).await.unwrap();
            let (mut far, _) = listener.accept().unwrap();
            std::io::Write::write_all(&mut far, b"hello").unwrap();
            let mut text = [0u8; 5];
            near.read_exact(&mut text).await.unwrap();
            assert_eq!(&text, b"hello");
            near.shutdown().await.unwrap();
        }
        let (closed, port) = listener("127.0.0.1");
        drop(closed);
        let refused = connect_local(None, port).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        let text = refused.to_string();
        assert!(text.contains("127.0.0.1: ") && text.contains("[::1]: ") && text.contains("refused"), "{text}");
    }

    #[tokio::test]
    async fn a_namespace_that_is_not_there_is_not_found() {
        let missing = connect_local(Some(Path::new("/nowhere/netns")), 80).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
}
