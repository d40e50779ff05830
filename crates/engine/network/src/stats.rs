//! Counters of a pod's links, read through a socket that stays open in the pod's network namespace.
//!
//! Loopback is left out: its traffic never leaves the pod. The open socket keeps the namespace alive, so whoever has the
//! namespace removed drops the reader first.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crio_sys::interface::route_interface;
use crio_sys::link::{LinkCounters, LinkReader};
use crio_sys::namespace::{self, NamespaceError, NamespaceKind};
use crio_types::{Classified, ErrorKind, InterfaceStats};

/// Addresses of documentation: nobody has a route to just these, so the answer is where the default route leads.
const ANYWHERE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// The counters of a network namespace could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StatsError {
    /// The pin is gone, or the kernel refused to enter.
    #[error("cannot enter the pod's network")]
    Enter {
        /// What was attempted.
        source: NamespaceError,
    },
    /// The counters could not be read.
    #[error("cannot read the interface counters of {namespace}")]
    Read {
        /// The pinned namespace.
        namespace: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Classified for StatsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Enter { source: NamespaceError::NotPinned { .. } | NamespaceError::Open { .. } } => {
                ErrorKind::NotFound
            }
            _ => ErrorKind::Internal,
        }
    }
}

/// Reads the counters of one pod's interfaces, again and again.
#[derive(Debug)]
pub struct InterfaceReader {
    namespace: PathBuf,
    links: LinkReader,
    default_route: Option<String>,
}

impl InterfaceReader {
    /// Enters `netns` once, on a thread that ends, to open the socket and to see where the default route leads.
    ///
    /// # Errors
    /// The pin is gone or is no network namespace, or the kernel refused a socket.
    pub fn open(netns: &Path) -> Result<Self, StatsError> {
        let entered = |source| StatsError::Enter { source };
        let namespace = namespace::open(netns).map_err(entered)?;
        let look = || {
            let default_route = ANYWHERE.iter().find_map(|address| route_interface(*address).ok().flatten());
            LinkReader::open().map(|links| (links, default_route))
        };
        let opened = namespace::run_in(namespace.as_fd(), NamespaceKind::Network, look).map_err(entered)?;
        let refused = |source| StatsError::Read { namespace: netns.to_owned(), source };
        let (links, default_route) = opened.map_err(refused)?;
        Ok(Self { namespace: netns.to_owned(), links, default_route })
    }

    /// The interface the default route leads through, as of the opening; `None` without such a route.
    #[must_use]
    pub fn default_route(&self) -> Option<&str> {
        self.default_route.as_deref()
    }

    /// Counters of every interface except loopback. After an error the reader is to be dropped.
    ///
    /// # Errors
    /// The kernel refused to tell.
    pub fn read(&mut self) -> Result<Vec<InterfaceStats>, StatsError> {
        let links = self.links.read();
        let links = links.map_err(|source| StatsError::Read { namespace: self.namespace.clone(), source })?;
        Ok(links.into_iter().map(stats).collect())
    }
}

fn stats(link: LinkCounters) -> InterfaceStats {
    InterfaceStats {
        name: link.name,
        rx_bytes: link.rx_bytes,
        rx_packets: link.rx_packets,
        rx_errors: link.rx_errors,
        rx_dropped: link.rx_dropped,
        tx_bytes: link.tx_bytes,
        tx_packets: link.tx_packets,
        tx_errors: link.tx_errors,
        tx_dropped: link.tx_dropped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_is_not_there_is_not_found() {
        let dir = tempfile::tempdir().expect("tempdir");
        let error = InterfaceReader::open(&dir.path().join("none")).expect_err("missing");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let plain = dir.path().join("plain");
        std::fs::write(&plain, "").expect("write");
        assert_eq!(InterfaceReader::open(&plain).expect_err("plain file").kind(), ErrorKind::NotFound);
    }
}
