//! A small netlink client: requests, dumps and notifications. Not a general library.
//!
//! One request is under way on a socket at a time, so answers need no matching beyond the sequence number. Framing
//! follows netlink(7): a message is a 16-byte header and a payload, an attribute a 4-byte header and a value, both
//! padded to four bytes. Everything read is bounds-checked; short or odd messages end the parse, never the process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::sockopt::Timeout;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const HEADER_BYTES: usize = 16;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// Answers to the requests made here fit easily; a longer datagram is cut off and ends the parse.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const DUMP: u16 = NLM_F_REQUEST | NLM_F_DUMP;
/// `NLA_F_NESTED`: the attribute holds attributes.
pub const NESTED: u16 = 0x8000;
/// The kernel answers while the request is sent, so this never passes on a healthy machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// One message: its type and what follows the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Type, as the protocol numbers it.
    pub kind: u16,
    /// Number of the request it answers; zero for notifications.
    pub sequence: u32,
    /// Payload: a protocol's own header, then attributes.
    pub payload: &'a [u8],
}

/// A netlink socket in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Socket {
    descriptor: OwnedFd,
    sequence: u32,
    datagram: Vec<u8>,
}

impl Socket {
    /// A socket for links, addresses and routes.
    ///
    /// # Errors
    /// The kernel refused it.
    pub fn route() -> io::Result<Self> {
        Self::new(None, 0, SocketFlags::CLOEXEC)
    }

    /// A socket for requests to netfilter's subsystems.
    ///
    /// # Errors
    /// The kernel refused it.
    pub fn netfilter() -> io::Result<Self> {
        Self::new(Some(NETFILTER), 0, SocketFlags::CLOEXEC)
    }

    /// A non-blocking socket that receives the notifications of these netfilter multicast groups (a bit mask).
    ///
    /// # Errors
    /// The kernel refused it.
    pub fn netfilter_events(groups: u32) -> io::Result<Self> {
        Self::new(Some(NETFILTER), groups, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
    }

    fn new(protocol: Option<rustix::net::Protocol>, groups: u32, flags: SocketFlags) -> io::Result<Self> {
        Ok(Self { descriptor: open(protocol, groups, flags)?, sequence: 0, datagram: vec![0; DATAGRAM_BYTES_MAX] })
    }

    /// Sends one request that the kernel answers with at most one message, and gives that message's payload to
    /// `parse`; `None` when it only acknowledged.
    ///
    /// # Errors
    /// The errno the kernel answered, or what the socket said.
    pub fn request<T>(
        &mut self,
        kind: u16,
        payload: &[u8],
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> io::Result<Option<T>> {
        self.send(kind, NLM_F_REQUEST | NLM_F_ACK, payload)?;
        let mut parse = Some(parse);
        let mut answer = None;
        loop {
            let (length, _) = rustix::net::recv(&self.descriptor, &mut self.datagram[..], RecvFlags::empty())?;
            for message in messages(&self.datagram[..length]) {
                match message.kind {
                    NLMSG_ERROR => return errno_of(message.payload).map(|()| answer),
                    NLMSG_DONE => return Ok(answer),
                    _ => answer = parse.take().and_then(|parse| parse(message.payload)),
                }
            }
        }
    }

    /// Sends one request for a list, and gives the payload of every message of it to `visit`.
    ///
    /// # Errors
    /// The errno the kernel answered, or what the socket said.
    pub fn dump(&mut self, kind: u16, payload: &[u8], visit: impl FnMut(&[u8])) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        dump(&self.descriptor, self.sequence, &mut self.datagram, &encode(kind, DUMP, self.sequence, payload), visit)
    }

    fn send(&mut self, kind: u16, flags: u16, payload: &[u8]) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = encode(kind, flags, self.sequence, payload);
        rustix::net::send(&self.descriptor, &request, SendFlags::empty())?;
        Ok(())
    }

    /// Receives one datagram of notifications.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; `ENOBUFS` when notifications were lost.
    pub fn receive(&mut self) -> io::Result<impl Iterator<Item = Message<'_>>> {
        let (length, _) = rustix::net::recv(&self.descriptor, &mut self.datagram[..], RecvFlags::empty())?;
        Ok(messages(&self.datagram[..length]))
    }
}

/// A socket for lists of links, addresses and routes that is kept for long: it has no buffer of its own. After an error
/// the rest of an answer may still be under way on it, so it is to be dropped then.
#[derive(Debug)]
pub struct Lister {
    descriptor: OwnedFd,
    sequence: u32,
}

impl Lister {
    /// A socket in the network namespace of the calling thread, which it keeps alive.
    ///
    /// # Errors
    /// The kernel refused it.
    pub fn route() -> io::Result<Self> {
        Ok(Self { descriptor: open(None, 0, SocketFlags::CLOEXEC)?, sequence: 0 })
    }

    /// As [`Socket::dump`], by way of `datagram`, which has to be longer than any message of the list.
    ///
    /// # Errors
    /// As [`Socket::dump`]; `InvalidData` when a message is longer than `datagram`.
    pub fn dump(&mut self, kind: u16, payload: &[u8], datagram: &mut [u8], visit: impl FnMut(&[u8])) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        dump(&self.descriptor, self.sequence, datagram, &encode(kind, DUMP, self.sequence, payload), visit)
    }
}

fn open(protocol: Option<rustix::net::Protocol>, groups: u32, flags: SocketFlags) -> io::Result<OwnedFd> {
    let descriptor = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
    rustix::net::bind(&descriptor, &SocketAddrNetlink::new(0, groups))?;
    rustix::net::sockopt::set_socket_timeout(&descriptor, Timeout::Recv, Some(ANSWER_TIMEOUT))?;
    Ok(descriptor)
}

fn dump(
    descriptor: &OwnedFd,
    sequence: u32,
    datagram: &mut [u8],
    request: &[u8],
    mut visit: impl FnMut(&[u8]),
) -> io::Result<()> {
    rustix::net::send(descriptor, request, SendFlags::empty())?;
    loop {
        let (length, whole) = rustix::net::recv(descriptor, &mut *datagram, RecvFlags::TRUNC)?;
        if whole > length {
            return Err(io::ErrorKind::InvalidData.into());
        }
        for message in messages(&datagram[..length]) {
            match message.kind {
                _ if message.sequence != sequence => {}
                NLMSG_ERROR => return errno_of(message.payload),
                NLMSG_DONE => return Ok(()),
                _ => visit(message.payload),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl std::os::fd::AsRawFd for Socket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.descriptor)
    }
}

/// The messages of a datagram; ends at the first that is cut off.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
        let message = Message {
            kind: u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?),
            sequence: u32::from_ne_bytes(rest.get(8..12)?.try_into().ok()?),
            payload: rest.get(HEADER_BYTES..length)?,
        };
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes in `bytes`, type (without flag bits) and value; ends at the first that is cut off.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const TYPE_MASK: u16 = 0x3fff;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?) & TYPE_MASK;
        let value = rest.get(ATTRIBUTE_HEADER_BYTES..length)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Appends an attribute; `kind` may carry [`NESTED`].
///
/// # Panics
/// The value is longer than an attribute can be, 64 KiB; the values of requests are a few bytes.
pub fn push_attribute(buffer: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(ATTRIBUTE_HEADER_BYTES + value.len()).expect("attribute values are a few bytes");
    buffer.extend_from_slice(&length.to_ne_bytes());
    buffer.extend_from_slice(&kind.to_ne_bytes());
    buffer.extend_from_slice(value);
    buffer.resize(aligned(buffer.len()), 0);
}

fn encode(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER_BYTES + payload.len()).expect("requests are a few bytes");
    let mut message = Vec::with_capacity(HEADER_BYTES + payload.len());
    message.extend_from_slice(&length.to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&sequence.to_ne_bytes());
    message.extend_from_slice(&0u32.to_ne_bytes());
    message.extend_from_slice(payload);
    message
}

fn errno_of(payload: &[u8]) -> io::Result<()> {
    let code = payload.get(..4).and_then(|bytes| bytes.try_into().ok()).map_or(-1, i32::from_ne_bytes);
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code.saturating_neg())) }
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_went_in() {
        let mut payload = vec![9, 9, 9, 9];
        push_attribute(&mut payload, 1, b"abc");
        push_attribute(&mut payload, 2, b"");
        let mut datagram = encode(7, 0, 1, &payload);
        datagram.extend(encode(8, 0, 2, &[]));
        let seen: Vec<_> = messages(&datagram).collect();
        assert_eq!((seen.len(), seen[0].kind, seen[1].kind), (2, 7, 8));
        let inside: Vec<_> = attributes(&seen[0].payload[4..]).collect();
        assert_eq!(inside, [(1, &b"abc"[..]), (2, &b""[..])]);
    }

    #[test]
    fn cut_off_or_lying_frames_end_the_parse() {
        let whole = encode(7, 0, 1, &[1, 2, 3, 4]);
        for cut in 0..whole.len() {
            assert_eq!(messages(&whole[..cut]).count(), 0, "{cut}");
        }
        assert_eq!(messages(&[0; 64]).count(), 0, "length zero");
        assert_eq!(messages(&[0xff; 64]).count(), 0, "length beyond the end");
        assert_eq!(attributes(&[0; 8]).count(), 0);
        assert_eq!(attributes(&[3, 0, 0, 0]).count(), 0);
    }
}
