//! Noticing that somebody removed our table, for example by `nft flush ruleset`.
//!
//! The kernel announces every change of the packet filter on a netlink multicast group, before the program that made it
//! returns. A change of our own removes the table at most once (it is replaced in one transaction), so whoever makes a
//! change drains the announcements afterwards, and one more removal than expected is somebody else's.

use std::io;

use crio_sys::netlink::{Message, Socket, attributes};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `NFNLGRP_NFTABLES`, as the bit of a group mask.
const GROUP_NFTABLES: u32 = 1 << (7 - 1);
/// `NFT_MSG_DELTABLE` of subsystem `NFNL_SUBSYS_NFTABLES`.
const DELETE_TABLE: u16 = (10 << 8) | 2;
/// `NFTA_TABLE_NAME`.
const TABLE_NAME: u16 = 1;
/// `struct nfgenmsg` in front of the attributes.
const GENERIC_HEADER_BYTES: usize = 4;
/// Most announcements drained after one change; the rest only wakes the keeper once more.
const DRAINED_DATAGRAMS_MAX: usize = 4096;

/// Listens for removals of one table.
#[derive(Debug)]
pub(super) struct Monitor {
    socket: AsyncFd<Socket>,
    table: String,
}

impl Monitor {
    /// Listens in the network namespace of the calling thread.
    pub(super) fn new(table: &str) -> io::Result<Self> {
        let socket = Socket::netfilter_events(GROUP_NFTABLES)?;
        Ok(Self { socket: watch(socket)?, table: table.to_owned() })
    }

    /// Waits until the table was removed, or may have been because announcements were lost.
    pub(super) async fn removed(&mut self) -> io::Result<()> {
        let Self { socket, table } = self;
        loop {
            let mut ready = socket.readable_mut().await?;
            match ready.try_io(|socket| removals(socket.get_mut(), table)) {
                Ok(Ok(0)) | Err(_) => {}
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) if is_lost(&error) => return Ok(()),
                Ok(Err(error)) => return Err(error),
            }
        }
    }

    /// Takes what was announced so far, and tells how many removals there were. Announcements that were lost count as
    /// none: the caller has just seen its own change succeed.
    pub(super) fn drain(&mut self) -> usize {
        let Self { socket, table } = self;
        let mut count = 0;
        for _ in 0..DRAINED_DATAGRAMS_MAX {
            match removals(socket.get_mut(), table) {
                Ok(more) => count += more,
                Err(error) if is_lost(&error) => {}
                Err(_) => break,
            }
        }
        count
    }
}

#[expect(
    deprecated,
    reason = "the successor is unsafe for types whose descriptor may change; a netlink socket owns its one descriptor"
)]
fn watch(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// How many removals of the table the next datagram announces.
fn removals(socket: &mut Socket, table: &str) -> io::Result<usize> {
    Ok(socket.receive()?.filter(|message| is_removal(message, table)).count())
}

fn is_removal(message: &Message<'_>, table: &str) -> bool {
    if message.kind != DELETE_TABLE {
        return false;
    }
    let attributes = attributes(message.payload.get(GENERIC_HEADER_BYTES..).unwrap_or_default());
    let mut names = attributes.filter(|(kind, _)| *kind == TABLE_NAME);
    names.any(|(_, name)| name.strip_suffix(&[0]).unwrap_or(name) == table.as_bytes())
}

fn is_lost(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error())
}
