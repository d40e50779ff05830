//! The nftables table of all host ports, as text for `nft -f`.
//!
//! Everything in it is made of numbers, addresses and names checked elsewhere, so nothing needs quoting.
//!
//! ```text
//! guard        (raw)    drops what claims to be loopback traffic on any other link
//! prerouting   (dstnat) to an address of the node?  -> host_ports
//! output       (dstnat) to an address of the node?  -> host_ports
//! host_ports            mark what must be masqueraded, then translate by map look-up
//! postrouting  (srcnat) masquerade what is marked
//! ```
//!
//! The guard makes up for `route_localnet`: with it the kernel would accept packets to and from 127.0.0.0/8 on a bridge
//! (CVE-2020-8558). The mark bit is the one the portmap plugin uses for the same purpose. Connections to `::1` are not
//! translated, because IPv6 has no `route_localnet`; they are refused at once, and clients turn to 127.0.0.1.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crio_types::Protocol;

use super::Forward;

/// Packet mark of what must be masqueraded, from translation to the end of routing.
const MASQUERADE_MARK: &str = "0x00002000";
const MASQUERADE_UNMARK: &str = "0xffffdfff";

/// The script that replaces `table` by one with these forwards. Of two for the same host port the later one counts.
pub(super) fn replace<'a>(
    table: &str,
    forwards: impl IntoIterator<Item = &'a Forward>,
    localnet_links: &BTreeSet<String>,
) -> String {
    let mut four = Family::default();
    let mut six = Family::default();
    for forward in forwards {
        let family = if forward.target.is_ipv4() { &mut four } else { &mut six };
        family.add(forward);
    }
    let mut script = remove(table);
    // Writing to a string cannot fail.
    let _ = write!(
        script,
        "table inet {table} {{\n{sets}{chains}}}\n",
        sets = [links(localnet_links), four.sets("v4", "ipv4_addr"), six.sets("v6", "ipv6_addr")].concat(),
        chains = CHAINS.replace("UNMARK", MASQUERADE_UNMARK).replace("MARK", MASQUERADE_MARK),
    );
    script
}

/// The script that removes `table`, whether or not it exists.
pub(super) fn remove(table: &str) -> String {
    format!("table inet {table}\ndelete table inet {table}\n")
}

/// Name of the set that remembers on which links `route_localnet` was switched on.
pub(super) const LOCALNET_SET: &str = "localnet_links";

const CHAINS: &str = r#"
  chain guard {
    type filter hook prerouting priority raw; policy accept;
    iif != "lo" ip daddr 127.0.0.0/8 drop
    iif != "lo" ip saddr 127.0.0.0/8 drop
  }
  chain host_ports {
    ip6 daddr ::1 return
    ip saddr . ip daddr . meta l4proto . th dport @near_bound_v4 meta mark set meta mark | MARK
    ip saddr . meta l4proto . th dport @near_v4 meta mark set meta mark | MARK
    ip6 saddr . ip6 daddr . meta l4proto . th dport @near_bound_v6 meta mark set meta mark | MARK
    ip6 saddr . meta l4proto . th dport @near_v6 meta mark set meta mark | MARK
    dnat ip to ip daddr . meta l4proto . th dport map @bound_v4
    dnat ip to meta l4proto . th dport map @any_v4
    dnat ip6 to ip6 daddr . meta l4proto . th dport map @bound_v6
    dnat ip6 to meta l4proto . th dport map @any_v6
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local jump host_ports
  }
  chain output {
    type nat hook output priority -100; policy accept;
    fib daddr type local jump host_ports
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & MARK == 0 return
    meta mark set meta mark & UNMARK
    ct status dnat masquerade
  }
"#;

/// The elements of one address family.
#[derive(Default)]
struct Family {
    any: BTreeMap<String, String>,
    bound: BTreeMap<String, String>,
    near: BTreeMap<String, String>,
    near_bound: BTreeMap<String, String>,
}

impl Family {
    fn add(&mut self, forward: &Forward) {
        let port = format!("{} . {}", protocol(forward.protocol), forward.host_port);
        let target = format!("{} . {}", forward.target.ip(), forward.target.port());
        match forward.host_address {
            None => {
                self.near.insert(port.clone(), sources(forward, &port));
                self.any.insert(port, target);
            }
            Some(address) => {
                let key = format!("{} . {port}", address);
                self.near_bound.insert(key.clone(), sources(forward, &key));
                self.bound.insert(key, target);
            }
        }
    }

    fn sets(&self, suffix: &str, address: &str) -> String {
        let port = "inet_proto . inet_service";
        let target = format!("{address} . inet_service");
        let map = |elements: &BTreeMap<String, String>| {
            elements.iter().map(|(key, target)| format!("{key} : {target}")).collect::<Vec<_>>()
        };
        let set = |elements: &BTreeMap<String, String>| elements.values().cloned().collect::<Vec<_>>();
        [
            declaration("map", &format!("any_{suffix}"), &format!("{port} : {target}"), "", &map(&self.any)),
            declaration(
                "map",
                &format!("bound_{suffix}"),
                &format!("{address} . {port} : {target}"),
                "",
                &map(&self.bound),
            ),
            declaration(
                "set",
                &format!("near_{suffix}"),
                &format!("{address} . {port}"),
                "flags interval; ",
                &set(&self.near),
            ),
            declaration(
                "set",
                &format!("near_bound_{suffix}"),
                &format!("{address} . {address} . {port}"),
                "flags interval; ",
                &set(&self.near_bound),
            ),
        ]
        .concat()
    }
}

/// Elements for the sources that must be masqueraded on their way to the forward with this key: the pod's own subnet,
/// and the node when it calls itself by a loopback address.
fn sources(forward: &Forward, key: &str) -> String {
    let subnet = format!("{} . {key}", forward.subnet);
    if forward.target.is_ipv4() { format!("{subnet}, 127.0.0.0/8 . {key}") } else { subnet }
}

fn links(links: &BTreeSet<String>) -> String {
    let elements: Vec<String> = links.iter().map(|link| format!("\"{link}\"")).collect();
    declaration("set", LOCALNET_SET, "ifname", "", &elements)
}

fn declaration(what: &str, name: &str, types: &str, flags: &str, elements: &[String]) -> String {
    if elements.is_empty() {
        format!("  {what} {name} {{ type {types}; {flags}}}\n")
    } else {
        let elements = elements.join(", ");
        format!("  {what} {name} {{ type {types}; {flags}elements = {{ {elements} }}; }}\n")
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}
