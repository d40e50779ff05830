//! Host ports: traffic to a port of the node goes to a port of a pod.
//!
//! All rules are in one nftables table of our own, which is always replaced as a whole, in one transaction, from what
//! the [`keeper`] knows. So a change is atomic, repeating it is harmless, and whatever else happened to the table is
//! repaired by the next change, or at once when somebody flushed it ([`monitor`]). Translation is by map look-up, so
//! its cost does not grow with the number of pods. [`ruleset`] writes the table, [`localnet`] opens the way for
//! connections from 127.0.0.1, [`conntrack`] makes established UDP flows notice a change.
//!
//! Only destinations that are addresses of the node are translated (CVE-2025-67499).

use std::net::{IpAddr, SocketAddr};

use crio_types::Protocol;
use ipnet::IpNet;

use crate::{Attachment, PodNetwork};

mod conntrack;
pub(crate) mod keeper;
mod localnet;
mod monitor;
mod nft;
mod ruleset;

pub use keeper::HostPortError;
pub use nft::NftError;

/// A port of the node that leads to a port of a pod, for one address family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forward {
    protocol: Protocol,
    /// Address of the node, or `None` for all of the target's family.
    host_address: Option<IpAddr>,
    host_port: u16,
    target: SocketAddr,
    /// The pod's own subnet. What comes from there is masqueraded: the answer would not pass the node otherwise.
    subnet: IpNet,
}

/// The forwards `pod` needs at the addresses it got: one for each port and address family, with the family's first
/// address.
pub(crate) fn forwards(pod: &PodNetwork, attachment: &Attachment) -> Vec<Forward> {
    let first = |is_wanted: fn(&IpAddr) -> bool| attachment.addresses.iter().find(|net| is_wanted(&net.addr()));
    let addresses = [first(IpAddr::is_ipv4), first(IpAddr::is_ipv6)];
    let mut forwards = Vec::new();
    for port in pod.ports.iter().filter(|port| port.host_port != 0) {
        for address in addresses.into_iter().flatten() {
            let same_family = |host: IpAddr| host.is_ipv4() == address.addr().is_ipv4();
            if !port.host_ip.is_none_or(same_family) {
                continue;
            }
            forwards.push(Forward {
                protocol: port.protocol,
                host_address: port.host_ip.filter(|host| !host.is_unspecified()),
                host_port: port.host_port,
                target: SocketAddr::new(address.addr(), port.container_port),
                subnet: address.trunc(),
            });
        }
    }
    forwards
}

#[cfg(test)]
mod tests;
