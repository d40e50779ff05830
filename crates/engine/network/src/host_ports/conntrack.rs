//! Forgetting UDP flows to a host port that has just changed hands.
//!
//! The kernel translates a flow the way its first packet was, for as long as packets keep coming. A client that goes on
//! sending to the host port of a pod that was replaced would talk to the dead pod for ever; so once new rules are in
//! place, flows to the new UDP host ports are dropped from connection tracking, and their next packet starts anew. TCP
//! and SCTP have ends and need no help. Follows linux/netfilter/nfnetlink_conntrack.h.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use crio_sys::interface::is_local_address;
use crio_sys::netlink::{NESTED, Socket, attributes, push_attribute};
use crio_types::Protocol;

use super::Forward;

/// Message types of subsystem `NFNL_SUBSYS_CTNETLINK`.
const LIST: u16 = (1 << 8) | 1;
const DELETE: u16 = (1 << 8) | 2;
/// `struct nfgenmsg`: family, version, resource.
const GENERIC_HEADER_BYTES: usize = 4;
/// Attributes of a flow, of a tuple, of addresses and of ports.
const FLOW_ORIGINAL: u16 = 1;
const FLOW_ID: u16 = 12;
const FLOW_ZONE: u16 = 18;
const TUPLE_ADDRESSES: u16 = 1;
const TUPLE_PORTS: u16 = 2;
const DESTINATION_V4: u16 = 2;
const DESTINATION_V6: u16 = 4;
const PROTOCOL_NUMBER: u16 = 1;
const DESTINATION_PORT: u16 = 3;
const UDP: u8 = 17;
/// Most flows dropped in one go; more are not worth the memory.
const FLOWS_MAX: usize = 1 << 16;

/// A flow that the kernel listed.
struct Flow {
    family: u8,
    destination: IpAddr,
    /// The original tuple and the id, as they came, to name the flow with.
    original: Vec<u8>,
    id: Vec<u8>,
}

/// Drops the UDP flows to the host ports of `forwards`.
pub(super) fn forget(forwards: &[Forward]) -> io::Result<()> {
    let ports: Vec<u16> =
        forwards.iter().filter(|forward| forward.protocol == Protocol::Udp).map(|forward| forward.host_port).collect();
    if ports.is_empty() {
        return Ok(());
    }
    let mut socket = Socket::netfilter()?;
    let mut flows = Vec::new();
    // Family 0 lists all.
    socket.dump(LIST, &[0; GENERIC_HEADER_BYTES], |payload| {
        if flows.len() < FLOWS_MAX {
            flows.extend(parse(payload, &ports));
        }
    })?;
    // Flows that only pass through the node, such as a pod's own queries to a name server, are none of ours.
    let mut local: HashMap<IpAddr, bool> = HashMap::new();
    for flow in flows {
        let is_local = match local.get(&flow.destination) {
            Some(is_local) => *is_local,
            None => {
                let is_local = is_local_address(flow.destination)?;
                local.insert(flow.destination, is_local);
                is_local
            }
        };
        if is_local {
            delete(&mut socket, &flow)?;
        }
    }
    Ok(())
}

fn delete(socket: &mut Socket, flow: &Flow) -> io::Result<()> {
    let mut payload = vec![flow.family, 0, 0, 0];
    push_attribute(&mut payload, FLOW_ORIGINAL | NESTED, &flow.original);
    push_attribute(&mut payload, FLOW_ID, &flow.id);
    match socket.request(DELETE, &payload, |_| None::<()>) {
        // It ended by itself meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        answer => answer.map(|_| ()),
    }
}

/// A UDP flow to one of the ports, in the zone of the node itself.
fn parse(payload: &[u8], ports: &[u16]) -> Option<Flow> {
    let family = *payload.first()?;
    let flow = payload.get(GENERIC_HEADER_BYTES..)?;
    if find(flow, FLOW_ZONE).is_some() {
        return None;
    }
    let original = find(flow, FLOW_ORIGINAL)?;
    let transport = find(original, TUPLE_PORTS)?;
    if *find(transport, PROTOCOL_NUMBER)?.first()? != UDP {
        return None;
    }
    let port = u16::from_be_bytes(find(transport, DESTINATION_PORT)?.try_into().ok()?);
    if !ports.contains(&port) {
        return None;
    }
    let addresses = find(original, TUPLE_ADDRESSES)?;
    let destination = match find(addresses, DESTINATION_V4) {
        Some(octets) => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        None => IpAddr::from(<[u8; 16]>::try_from(find(addresses, DESTINATION_V6)?).ok()?),
    };
    Some(Flow { family, destination, original: original.to_vec(), id: find(flow, FLOW_ID)?.to_vec() })
}

fn find(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}
