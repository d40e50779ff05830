//! Counters of network links, by way of a socket that stays open in their network namespace.
//!
//! A netlink socket belongs for ever to the namespace of the thread that made it, so entering the namespace once is enough,
//! and a reading is two system calls. The socket keeps its namespace alive: whoever has the namespace removed drops the
//! reader first. See rtnetlink(7); the layout of the counters is `struct rtnl_link_stats64` of linux/if_link.h.

use std::io;

use crate::netlink::{Lister, attributes};

const RTM_GETLINK: u16 = 18;
const IFLA_IFNAME: u16 = 3;
const IFLA_STATS64: u16 = 23;
/// struct ifinfomsg: family, padding, type, index, flags, change mask.
const LINK_HEADER_BYTES: usize = 16;
const LINK_TYPE_OFFSET: usize = 2;
/// The kernel sends lists in pieces no longer than what the reader last offered, and a link takes less than 2 KiB.
const DATAGRAM_BYTES: usize = 16 << 10;

/// The counters of one link.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkCounters {
    /// Its name.
    pub name: String,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Receive errors.
    pub rx_errors: u64,
    /// Send errors.
    pub tx_errors: u64,
    /// Packets received and dropped, those missed for want of room among them.
    pub rx_dropped: u64,
    /// Packets dropped instead of sent.
    pub tx_dropped: u64,
}

/// Reads the counters of one network namespace's links.
#[derive(Debug)]
pub struct LinkReader(Lister);

impl LinkReader {
    /// A reader for the calling thread's network namespace, to be used by any thread.
    ///
    /// # Errors
    /// The kernel refused a socket.
    pub fn open() -> io::Result<Self> {
        Lister::route().map(Self)
    }

    /// The counters of every link except loopback, in the order of their numbers. After an error the reader is to be dropped.
    ///
    /// # Errors
    /// The kernel refused to tell.
    pub fn read(&mut self) -> io::Result<Vec<LinkCounters>> {
        let mut datagram = [0; DATAGRAM_BYTES];
        let mut links = Vec::new();
        self.0.dump(RTM_GETLINK, &[0; LINK_HEADER_BYTES], &mut datagram, |payload| links.extend(parse(payload)))?;
        Ok(links)
    }
}

/// One link; `None` for loopback, and for what lacks a name or counters.
fn parse(payload: &[u8]) -> Option<LinkCounters> {
    let link_type = u16::from_ne_bytes(payload.get(LINK_TYPE_OFFSET..LINK_TYPE_OFFSET + 2)?.try_into().ok()?);
    if link_type == libc::ARPHRD_LOOPBACK {
        return None;
    }
    let (mut name, mut counters) = (None, None);
    for (kind, value) in attributes(payload.get(LINK_HEADER_BYTES..)?) {
        match kind {
            IFLA_IFNAME => {
                name = Some(String::from_utf8_lossy(value.strip_suffix(b"\0").unwrap_or(value)).into_owned());
            }
            IFLA_STATS64 => counters = parse_counters(value),
            _ => {}
        }
    }
    Some(LinkCounters { name: name?, ..counters? })
}

fn parse_counters(bytes: &[u8]) -> Option<LinkCounters> {
    const RX_MISSED_ERRORS: usize = 15;
    let at = |index: usize| Some(u64::from_ne_bytes(bytes.get(index * 8..index * 8 + 8)?.try_into().ok()?));
    Some(LinkCounters {
        name: String::new(),
        rx_packets: at(0)?,
        tx_packets: at(1)?,
        rx_bytes: at(2)?,
        tx_bytes: at(3)?,
        rx_errors: at(4)?,
        tx_errors: at(5)?,
        rx_dropped: at(6)?.saturating_add(at(RX_MISSED_ERRORS)?),
        tx_dropped: at(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{NamespaceKind, run_in_new};
    use crate::netlink::push_attribute;

    #[test]
    fn a_link_needs_a_name_and_counters() {
        let counters: Vec<u8> = (1..=24u64).flat_map(u64::to_ne_bytes).collect();
        let mut payload = vec![0; LINK_HEADER_BYTES];
        payload[LINK_TYPE_OFFSET] = 1;
        push_attribute(&mut payload, IFLA_IFNAME, b"eth0\0");
        assert_eq!(parse(&payload), None, "no counters");
        push_attribute(&mut payload, IFLA_STATS64, &counters);
        let link = parse(&payload).expect("a link");
        assert_eq!((link.name.as_str(), link.rx_packets, link.tx_bytes), ("eth0", 1, 4));
        assert_eq!((link.rx_errors, link.tx_errors, link.rx_dropped, link.tx_dropped), (5, 6, 7 + 16, 8));
        for cut in 0..payload.len() {
            assert_eq!(parse(&payload[..cut]), None, "{cut}");
        }
        payload[LINK_TYPE_OFFSET..LINK_TYPE_OFFSET + 2].copy_from_slice(&libc::ARPHRD_LOOPBACK.to_ne_bytes());
        assert_eq!(parse(&payload), None, "loopback");
    }

    #[test]
    fn a_reader_stays_in_the_namespace_it_was_opened_in() {
        let mut reader = run_in_new(&[NamespaceKind::Network], LinkReader::open).expect("namespace").expect("socket");
        for _ in 0..3 {
            // Modules may put links of their own into every new namespace; none of them has the name of one of the host's.
            let links = reader.read().expect("links");
            assert!(links.iter().all(|link| link.name != "lo" && link.rx_packets == 0), "{links:?}");
        }
        let mut own = LinkReader::open().expect("socket");
        let host = own.read().expect("links");
        assert!(host.iter().all(|link| link.name != "lo"), "{host:?}");
    }
}
