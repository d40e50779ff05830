//! Frames to a client become bytes.
//!
//! The only header block a server sends here is the empty one, so it is written without a compressor, which would cost a
//! quarter of a megabyte for each connection: the four bytes of a count of zero in a stored block, and the empty stored
//! block that is a flush; clients do not look at a block before that.

use bytes::{BufMut as _, BytesMut};

use super::{FLAG_FIN, GOAWAY, GoAwayStatus, PING, RST_STREAM, ResetStatus, SYN_REPLY, StreamId, VERSION};

/// The most bytes of a data frame, so that streams get their turn. Far below what the length field could hold.
pub(crate) const MAX_DATA_BYTES: usize = 16 << 10;

/// Deflate with a window of 32 KiB and a dictionary, and the dictionary's checksum.
const ZLIB_HEAD: [u8; 6] = [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2];
/// Stored, 4 bytes, the complement of 4, zero; stored, no bytes, the complement of none.
const EMPTY_BLOCK: [u8; 14] = [0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// Which header block of the connection comes next: the zlib stream has a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    First,
    Later,
}

/// A reply without headers.
pub(crate) fn syn_reply(output: &mut BytesMut, id: StreamId, block: Block) {
    let zlib_head: &[u8] = if block == Block::First { &ZLIB_HEAD } else { &[] };
    control(output, SYN_REPLY, 4 + zlib_head.len() + EMPTY_BLOCK.len());
    output.put_u32(id.get());
    output.put_slice(zlib_head);
    output.put_slice(&EMPTY_BLOCK);
}

/// The end of a stream, for a reason.
pub(crate) fn reset(output: &mut BytesMut, id: StreamId, status: ResetStatus) {
    control(output, RST_STREAM, 8);
    output.put_u32(id.get());
    output.put_u32(status as u32);
}

/// The answer to a ping.
pub(crate) fn ping(output: &mut BytesMut, number: u32) {
    control(output, PING, 4);
    output.put_u32(number);
}

/// The last frame of a connection.
pub(crate) fn go_away(output: &mut BytesMut, last_good: StreamId, status: GoAwayStatus) {
    control(output, GOAWAY, 8);
    output.put_u32(last_good.get());
    output.put_u32(status as u32);
}

/// A stream's bytes, at most [`MAX_DATA_BYTES`].
pub(crate) fn data(output: &mut BytesMut, id: StreamId, bytes: &[u8]) {
    debug_assert!(bytes.len() <= MAX_DATA_BYTES);
    output.put_u32(id.get());
    output.put_u32(bytes.len() as u32);
    output.put_slice(bytes);
}

/// The orderly end of a stream.
pub(crate) fn fin(output: &mut BytesMut, id: StreamId) {
    output.put_u32(id.get());
    output.put_u32(u32::from(FLAG_FIN) << 24);
}

fn control(output: &mut BytesMut, kind: u16, length: usize) {
    output.put_u16(0x8000 | VERSION);
    output.put_u16(kind);
    output.put_u32(length as u32);
}

#[cfg(test)]
mod tests;
