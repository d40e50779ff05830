//! Counters of a pod's links, read from inside its network namespace.
//!
//! The kernel prints them at `/proc/<thread>/net/dev` as two header lines and then, a line each, a name, a colon and
//! sixteen numbers (proc_pid_net(5)). The names `lo` is left out: its traffic never leaves the pod.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crio_sys::namespace::{self, NamespaceError, NamespaceKind};
use crio_types::{Classified, ErrorKind, InterfaceStats};

/// `/proc/self` would show the namespace of the process's first thread.
const COUNTERS: &str = "/proc/thread-self/net/dev";

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

/// Counters of every interface in `netns` except loopback. Blocks for some tens of microseconds.
///
/// # Errors
/// The pin is gone or is no network namespace, or the counters could not be read.
pub fn interface_stats(netns: &Path) -> Result<Vec<InterfaceStats>, StatsError> {
    let namespace = namespace::open(netns).map_err(|source| StatsError::Enter { source })?;
    let text = namespace::run_in(namespace.as_fd(), NamespaceKind::Network, || std::fs::read_to_string(COUNTERS))
        .map_err(|source| StatsError::Enter { source })?
        .map_err(|source| StatsError::Read { namespace: netns.to_owned(), source })?;
    Ok(text.lines().filter_map(parse_line).filter(|stats| stats.name != "lo").collect())
}

/// One line of the table; `None` for the header lines.
fn parse_line(line: &str) -> Option<InterfaceStats> {
    const RX_BYTES: usize = 0;
    const RX_ERRORS: usize = 2;
    const TX_BYTES: usize = 8;
    const TX_ERRORS: usize = 10;
    // A name may hold a colon (an old style alias), the numbers may not.
    let (name, numbers) = line.rsplit_once(':')?;
    let numbers: Vec<u64> = numbers.split_ascii_whitespace().map_while(|number| number.parse().ok()).collect();
    Some(InterfaceStats {
        name: name.trim_start().to_owned(),
        rx_bytes: *numbers.get(RX_BYTES)?,
        rx_errors: *numbers.get(RX_ERRORS)?,
        tx_bytes: *numbers.get(TX_BYTES)?,
        tx_errors: *numbers.get(TX_ERRORS)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_columns_that_count() {
        let line = "  eth0:    1234      10    1    2    0     0          0         0     5678      11    3    0    0     0       0          0";
        let stats = parse_line(line).expect("a counter line");
        assert_eq!(stats.name, "eth0");
        assert_eq!((stats.rx_bytes, stats.rx_errors), (1234, 1));
        assert_eq!((stats.tx_bytes, stats.tx_errors), (5678, 3));
        for header in [
            "Inter-|   Receive                                                |  Transmit",
            " face |bytes    packets errs drop fifo frame compressed multicast|bytes",
            "eth0: 1 2 3",
            "",
        ] {
            assert_eq!(parse_line(header), None, "{header:?}");
        }
    }

    #[test]
    fn a_namespace_that_is_not_there_is_not_found() {
        let dir = tempfile::tempdir().expect("tempdir");
        let error = interface_stats(&dir.path().join("none")).expect_err("missing");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let plain = dir.path().join("plain");
        std::fs::write(&plain, "").expect("write");
        assert_eq!(interface_stats(&plain).expect_err("plain file").kind(), ErrorKind::NotFound);
    }
}
