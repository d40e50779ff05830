//! Message sockets: `SOCK_SEQPACKET` over a unix path, with descriptors riding along (`SCM_RIGHTS`).
//!
//! A message arrives whole or not at all, in order, and with its descriptors, so neither side needs a framing of its
//! own. Sockets are close-on-exec and never block: a caller waits with epoll or with an asynchronous runtime. A
//! message that does not fit the reader's buffer, or carries more descriptors than [`MAX_DESCRIPTORS`], is an error and
//! not a shorter message. See unix(7).
//!
//! A socket address holds 107 bytes of path. Sockets here are named by directory and file name and reached through
//! `/proc/self/fd`, so the directory may be as deep as it likes.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

/// The most descriptors one message carries.
pub const MAX_DESCRIPTORS: usize = 4;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// One end of a connection.
#[derive(Debug)]
pub struct SeqPacket(OwnedFd);

/// A message as it arrived: its length in the caller's buffer, and its descriptors.
#[derive(Debug, Default)]
pub struct Received {
    /// Bytes of the buffer that hold the message. Zero means the other side closed the connection.
    pub length: usize,
    /// The descriptors, close-on-exec.
    pub descriptors: Vec<OwnedFd>,
}

impl SeqPacket {
    /// Connects to the socket `name` in `directory`.
    ///
    /// # Errors
    /// The directory cannot be opened, the socket does not exist, or nobody listens on it (`ECONNREFUSED`).
    pub fn connect(directory: &Path, name: &str) -> std::io::Result<Self> {
        let directory = open_directory(directory)?;
        let socket = new_socket()?;
        rustix::net::connect(&socket, &address(&directory, name)?)?;
        Ok(Self(socket))
    }

    /// Two connected ends.
    ///
    /// # Errors
    /// The process is out of descriptors.
    pub fn pair() -> std::io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (left, right) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(left), Self(right)))
    }

    /// Sends one message.
    ///
    /// # Errors
    /// `WouldBlock` when the other side is behind, `InvalidInput` for more than [`MAX_DESCRIPTORS`] descriptors, and
    /// what sendmsg(2) says.
    pub fn send(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> std::io::Result<()> {
        if descriptors.len() > MAX_DESCRIPTORS {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::io::retry_on_intr(|| rustix::net::sendmsg(&self.0, &[IoSlice::new(message)], &mut control, flags))?;
        Ok(())
    }

    /// Takes the next message into `buffer`.
    ///
    /// # Errors
    /// `WouldBlock` when there is none, `InvalidData` when it did not fit (it is lost then), and what recvmsg(2) says.
    pub fn receive(&self, buffer: &mut [u8]) -> std::io::Result<Received> {
        receive_message(self.0.as_fd(), buffer)
    }

    /// The user id of the process that connected.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn peer_uid(&self) -> std::io::Result<u32> {
        Ok(rustix::net::sockopt::socket_peercred(&self.0)?.uid.as_raw())
    }
}

impl AsFd for SeqPacket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for SeqPacket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

/// A socket that accepts connections.
#[derive(Debug)]
pub struct SeqPacketListener(OwnedFd);

impl SeqPacketListener {
    /// Binds `name` in `directory`, for its owner only, in place of whatever has that name, and listens.
    ///
    /// # Errors
    /// The directory cannot be opened or written.
    pub fn bind(directory: &Path, name: &str) -> std::io::Result<Self> {
        let directory = open_directory(directory)?;
        match rustix::fs::unlinkat(&directory, name, rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let socket = new_socket()?;
        // The inode takes its mode from the socket, so it is never reachable for others, not even before listen.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        rustix::net::bind(&socket, &address(&directory, name)?)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(Self(socket))
    }

    /// A listener that another process bound and handed over.
    #[must_use]
    pub fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// The descriptor, to hand it to another process.
    #[must_use]
    pub fn into_descriptor(self) -> OwnedFd {
        self.0
    }

    /// Takes the next connection.
    ///
    /// # Errors
    /// `WouldBlock` when there is none, and what accept(2) says.
    pub fn accept(&self) -> std::io::Result<SeqPacket> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Ok(SeqPacket(rustix::net::accept_with(&self.0, flags)?))
    }
}

impl AsFd for SeqPacketListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Takes one message and its descriptors from any unix socket. The console socket of an OCI runtime is a stream, and
/// its one message is read with this too.
///
/// # Errors
/// As [`SeqPacket::receive`].
pub fn receive_message(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> std::io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let message = loop {
        match rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            descriptors.extend(rights);
        }
    }
    if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the message is larger than its limit"));
    }
    Ok(Received { length: message.bytes, descriptors })
}

fn new_socket() -> std::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

fn open_directory(path: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn address(directory: &OwnedFd, name: &str) -> std::io::Result<SocketAddrUnix> {
    let mut path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    path.push(name);
    Ok(SocketAddrUnix::new(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_bounds_and_descriptors() {
        let (left, right) = SeqPacket::pair().unwrap();
        let (read, write) = rustix::pipe::pipe().unwrap();
        left.send(b"first", &[write.as_fd()]).unwrap();
        left.send(b"second", &[]).unwrap();
        drop(write);
        let mut buffer = [0u8; 16];
        let first = right.receive(&mut buffer).unwrap();
        assert_eq!(&buffer[..first.length], b"first");
        rustix::io::write(&first.descriptors[0], b"x").unwrap();
        assert_eq!(rustix::io::read(&read, &mut buffer).unwrap(), 1);
        let second = right.receive(&mut buffer).unwrap();
        assert_eq!((&buffer[..second.length], second.descriptors.len()), (&b"second"[..], 0));
        assert_eq!(right.receive(&mut buffer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        drop(left);
        assert_eq!(right.receive(&mut buffer).unwrap().length, 0);
    }

    #[test]
    fn too_long_and_too_many_are_refused() {
        let (left, right) = SeqPacket::pair().unwrap();
        left.send(&[7u8; 32], &[]).unwrap();
        assert_eq!(right.receive(&mut [0u8; 16]).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
        let many = [left.as_fd(); MAX_DESCRIPTORS + 1];
        assert_eq!(left.send(b"x", &many).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_socket_deep_in_the_tree_is_private_and_reachable() {
        let top = std::env::temp_dir().join(format!("seqpacket-{}", std::process::id()));
        let deep = top.join("d".repeat(120));
        std::fs::create_dir_all(&deep).unwrap();
        let listener = SeqPacketListener::bind(&deep, "s").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(deep.join("s")).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let client = SeqPacket::connect(&deep, "s").unwrap();
        let server = listener.accept().unwrap();
        assert_eq!(server.peer_uid().unwrap(), rustix::process::getuid().as_raw());
        client.send(b"hello", &[]).unwrap();
        assert_eq!(server.receive(&mut [0u8; 8]).unwrap().length, 5);
        drop(listener);
        assert!(SeqPacket::connect(&deep, "s").is_err());
        let again = SeqPacketListener::bind(&deep, "s").unwrap();
        assert!(SeqPacket::connect(&deep, "s").is_ok());
        drop(again);
        std::fs::remove_dir_all(&top).unwrap();
    }
}
