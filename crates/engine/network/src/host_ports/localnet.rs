//! Letting connections from 127.0.0.1 reach a pod: `route_localnet` on the link that leads to it.
//!
//! The kernel refuses to send packets from 127.0.0.0/8 out of a link, even when they are masqueraded, unless the link
//! allows it. Only the links that lead to pods with host ports are switched on, only after the guard rules are in
//! place, and they are switched off before those rules go. A link the administrator switched on is left alone.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use crio_sys::{interface, sysctl};

use super::nft::is_link_name;

/// The links towards `targets` on which `route_localnet` is off.
pub(super) fn closed_links(targets: &[IpAddr]) -> io::Result<BTreeSet<String>> {
    if is_open("all")? {
        return Ok(BTreeSet::new());
    }
    let mut links = BTreeSet::new();
    for target in targets.iter().filter(|target| target.is_ipv4()) {
        if let Some(link) = interface::route_interface(*target)?
            && is_link_name(&link)
            && !links.contains(&link)
            && !is_open(&link)?
        {
            links.insert(link);
        }
    }
    Ok(links)
}

/// Switches links on or off. A link that is gone needs neither.
pub(super) fn switch(links: &BTreeSet<String>, state: LocalNet) -> io::Result<()> {
    let value = match state {
        LocalNet::Routed => "1",
        LocalNet::Refused => "0",
    };
    for link in links {
        match sysctl::write(&parameter(link), value) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What a link does with packets of 127.0.0.0/8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LocalNet {
    /// It sends and takes them.
    Routed,
    /// It drops them.
    Refused,
}

fn is_open(link: &str) -> io::Result<bool> {
    Ok(sysctl::read(&parameter(link))? != "0")
}

fn parameter(link: &str) -> PathBuf {
    ["net/ipv4/conf", link, "route_localnet"].iter().collect()
}
