//! The few things the daemon itself does to network links, over netlink, in the calling thread's network namespace.
//!
//! Links, addresses and routes of pods are the CNI plugins' business. The loopback link of a new namespace is raised
//! here because running a plugin for it costs some milliseconds a pod. See rtnetlink(7).

use std::io;
use std::net::IpAddr;

use crate::netlink::{Socket, attributes, push_attribute};

const RTM_NEWLINK: u16 = 16;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const IFF_UP: u32 = 1;
/// The kernel makes `lo` with this index in every network namespace.
const LOOPBACK_INDEX: i32 = 1;
const ROUTE_HEADER_BYTES: usize = 12;
/// `rtm_type` in `struct rtmsg`.
const ROUTE_TYPE_OFFSET: usize = 7;

/// Raises the loopback link of the calling thread's network namespace. The kernel adds 127.0.0.1 and ::1 itself.
///
/// # Errors
/// The kernel refused.
pub fn raise_loopback() -> io::Result<()> {
    // struct ifinfomsg: family, padding, type, index, flags, change mask.
    let mut payload = vec![0u8; 4];
    payload.extend_from_slice(&LOOPBACK_INDEX.to_ne_bytes());
    payload.extend_from_slice(&IFF_UP.to_ne_bytes());
    payload.extend_from_slice(&IFF_UP.to_ne_bytes());
    Socket::route()?.request(RTM_NEWLINK, &payload, |_| None::<()>)?;
    Ok(())
}

/// Name of the link through which packets to `destination` leave; `None` when there is no route.
///
/// # Errors
/// The kernel refused the question.
pub fn route_interface(destination: IpAddr) -> io::Result<Option<String>> {
    look_up(destination, outgoing_index)?.map(name_of).transpose()
}

/// Whether `address` is one of this network namespace's own, so that packets to it are delivered here.
///
/// # Errors
/// The kernel refused the question.
pub fn is_local_address(address: IpAddr) -> io::Result<bool> {
    let kind = look_up(address, |payload| payload.get(ROUTE_TYPE_OFFSET).copied())?;
    Ok(kind == Some(libc::RTN_LOCAL))
}

/// Asks for the route to `destination` and gives the answer to `parse`; `None` when there is no route.
fn look_up<T>(destination: IpAddr, parse: impl FnOnce(&[u8]) -> Option<T>) -> io::Result<Option<T>> {
    let (family, address) = match destination {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    // struct rtmsg: family, destination and source prefix length, then nothing that a question needs.
    let mut payload = vec![0u8; ROUTE_HEADER_BYTES];
    payload[0] = u8::try_from(family).expect("address families are small numbers");
    payload[1] = if destination.is_ipv4() { 32 } else { 128 };
    push_attribute(&mut payload, RTA_DST, &address);
    match Socket::route()?.request(RTM_GETROUTE, &payload, parse) {
        Err(error) if is_no_route(&error) => Ok(None),
        answer => answer,
    }
}

fn outgoing_index(payload: &[u8]) -> Option<u32> {
    attributes(payload.get(ROUTE_HEADER_BYTES..)?)
        .find(|(kind, _)| *kind == RTA_OIF)
        .and_then(|(_, value)| value.try_into().ok())
        .map(u32::from_ne_bytes)
}

fn name_of(index: u32) -> io::Result<String> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    Ok(rustix::net::netdevice::index_to_name(&socket, index)?)
}

fn is_no_route(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{NamespaceKind, run_in_new};

    #[test]
    fn a_raised_loopback_carries_its_addresses() {
        run_in_new(&[NamespaceKind::Network], || {
            let localhost = IpAddr::from([127, 0, 0, 1]);
            let elsewhere = IpAddr::from([192, 0, 2, 1]);
            assert_eq!(route_interface(localhost).expect("route"), None, "down");
            raise_loopback().expect("up");
            raise_loopback().expect("up again");
            assert_eq!(route_interface(localhost).expect("route").as_deref(), Some("lo"));
            assert_eq!(
                route_interface(IpAddr::from(std::net::Ipv6Addr::LOCALHOST)).expect("route").as_deref(),
                Some("lo")
            );
            assert_eq!(route_interface(elsewhere).expect("route"), None);
            assert!(is_local_address(localhost).expect("route"));
            assert!(!is_local_address(elsewhere).expect("route"));
            std::net::TcpListener::bind((localhost, 0)).expect("127.0.0.1 is there");
        })
        .expect("namespace");
    }
}
