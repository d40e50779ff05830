//! Bytes from a client become frames.
//!
//! A data frame may have 16 MiB and is given on in parts, as they come; a control frame that matters is short and is waited
//! for; every other is skipped without being kept. So the input never has to hold more than one of the short ones.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{
    FLAG_FIN, FLAG_UNIDIRECTIONAL, Frame, GOAWAY, HEAD_BYTES, HEADERS, PING, RST_STREAM, SYN_REPLY, SYN_STREAM,
    StreamId, VERSION,
};
use crate::error::ProtocolError;
use crate::header::{Headers, Inflater};
use crate::limits::Limits;

/// Stream, associated stream, priority and slot.
const SYN_STREAM_FIELDS: usize = 10;
const ID_BYTES: usize = 4;

/// Reads the frames of one connection.
pub(crate) struct Decoder {
    inflater: Inflater,
    max_headers: usize,
    max_control_bytes: usize,
    expected: Expected,
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    Head,
    Data { id: StreamId, left: usize, is_last: bool },
    Skipped { left: usize },
}

impl Decoder {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            inflater: Inflater::new(limits.max_header_block_bytes),
            max_headers: limits.max_headers,
            max_control_bytes: limits.max_header_block_bytes + SYN_STREAM_FIELDS,
            expected: Expected::Head,
        }
    }

    /// Whether the input so far ends where a frame does.
    pub(crate) fn is_between_frames(&self) -> bool {
        matches!(self.expected, Expected::Head)
    }

    /// The next frame of `input`, or none if there is not enough of it.
    pub(crate) fn next_frame(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, ProtocolError> {
        loop {
            match self.expected {
                Expected::Skipped { left } => {
                    let step = left.min(input.len());
                    input.advance(step);
                    if step < left {
                        self.expected = Expected::Skipped { left: left - step };
                        return Ok(None);
                    }
                    self.expected = Expected::Head;
                }
                Expected::Data { .. } if input.is_empty() => return Ok(None),
                Expected::Data { id, left, is_last } => {
                    return Ok(Some(self.data(input, id, left, is_last, false)));
                }
                Expected::Head => {
                    let Some(head) = input.first_chunk().map(Head::parse) else {
                        return Ok(None);
                    };
                    match head.subject {
                        Subject::Data(StreamId::NONE) => return Err(ProtocolError::StreamZero),
                        Subject::Data(id) => {
                            input.advance(HEAD_BYTES);
                            return Ok(Some(self.data(input, id, head.length, head.has(FLAG_FIN), true)));
                        }
                        Subject::Control { version, .. } if version != VERSION => {
                            return Err(ProtocolError::Version { version });
                        }
                        Subject::Control { kind, .. } if !matters(kind) => {
                            input.advance(HEAD_BYTES);
                            self.expected = Expected::Skipped { left: head.length };
                        }
                        Subject::Control { kind, .. } if head.length > self.max_control_bytes => {
                            return Err(ProtocolError::Length { kind, length: head.length });
                        }
                        Subject::Control { .. } if input.len() < HEAD_BYTES + head.length => return Ok(None),
                        Subject::Control { kind, .. } => {
                            input.advance(HEAD_BYTES);
                            let payload = input.split_to(head.length);
                            return self.control(kind, &head, &payload).map(Some);
                        }
                    }
                }
            }
        }
    }

    /// As much of a data frame as is there.
    fn data(&mut self, input: &mut BytesMut, id: StreamId, left: usize, is_last: bool, is_first_part: bool) -> Frame {
        let bytes: Bytes = input.split_to(left.min(input.len())).freeze();
        let left = left - bytes.len();
        self.expected = if left == 0 { Expected::Head } else { Expected::Data { id, left, is_last } };
        Frame::Data { id, bytes, is_first_part, is_last: is_last && left == 0 }
    }

    fn control(&mut self, kind: u16, head: &Head, payload: &[u8]) -> Result<Frame, ProtocolError> {
        let wrong = || ProtocolError::Length { kind, length: head.length };
        let (field, rest) = payload.split_first_chunk::<ID_BYTES>().ok_or_else(wrong)?;
        let field = u32::from_be_bytes(*field);
        let has_fixed_length = |length: usize| if payload.len() == length { Ok(()) } else { Err(wrong()) };
        let id = StreamId::from_wire(field);
        if id == StreamId::NONE && matches!(kind, SYN_STREAM | SYN_REPLY | RST_STREAM | HEADERS) {
            return Err(ProtocolError::StreamZero);
        }
        let is_last = head.has(FLAG_FIN);
        Ok(match kind {
            SYN_STREAM => {
                let block = payload.get(SYN_STREAM_FIELDS..).ok_or_else(wrong)?;
                let headers = Headers::parse(&self.inflater.inflate(block)?, self.max_headers);
                Frame::SynStream { id, headers, is_last, is_one_way: head.has(FLAG_UNIDIRECTIONAL) }
            }
            SYN_REPLY => {
                self.inflater.inflate(rest)?;
                Frame::SynReply { id }
            }
            HEADERS => {
                self.inflater.inflate(rest)?;
                Frame::Headers { id, is_last }
            }
            RST_STREAM => has_fixed_length(8).map(|()| Frame::Reset { id })?,
            PING => has_fixed_length(4).map(|()| Frame::Ping { number: field })?,
            _ => has_fixed_length(8).map(|()| Frame::GoAway)?,
        })
    }
}

/// Kinds that are not skipped.
fn matters(kind: u16) -> bool {
    matches!(kind, SYN_STREAM | SYN_REPLY | RST_STREAM | PING | GOAWAY | HEADERS)
}

struct Head {
    subject: Subject,
    flags: u8,
    length: usize,
}

enum Subject {
    Data(StreamId),
    Control { version: u16, kind: u16 },
}

impl Head {
    fn parse(bytes: &[u8; HEAD_BYTES]) -> Self {
        let [first, second, third, fourth, flags, length @ ..] = *bytes;
        let is_control = first & 0x80 != 0;
        let subject = if is_control {
            let version = u16::from_be_bytes([first & 0x7f, second]);
            Subject::Control { version, kind: u16::from_be_bytes([third, fourth]) }
        } else {
            Subject::Data(StreamId::from_wire(u32::from_be_bytes([first, second, third, fourth])))
        };
        let [high, middle, low] = length.map(usize::from);
        Self { subject, flags, length: high << 16 | middle << 8 | low }
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

#[cfg(test)]
mod tests;
