//! Header blocks: one zlib stream for all of a connection's, then a count and pairs of name and value.
//!
//! Decompression is part of the connection: every block must go through it, also one whose stream is refused. What a block
//! says concerns its stream only. No block can make more memory than the limit, however well it compresses.

use flate2::{Decompress, FlushDecompress, Status};

use crate::dictionary::dictionary;
use crate::error::ProtocolError;

/// Decompressed at once.
const STEP_BYTES: usize = 2048;

/// Decompresses the header blocks of one direction.
pub(crate) struct Inflater {
    zlib: Decompress,
    limit_bytes: usize,
}

impl Inflater {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { zlib: Decompress::new(true), limit_bytes }
    }

    /// The next block, whole.
    pub(crate) fn inflate(&mut self, mut block: &[u8]) -> Result<Vec<u8>, ProtocolError> {
        let mut plain = Vec::new();
        let mut step = [0; STEP_BYTES];
        loop {
            let (read_before, written_before) = (self.zlib.total_in(), self.zlib.total_out());
            let outcome = self.zlib.decompress(block, &mut step, FlushDecompress::Sync);
            // Both counts are below the lengths of the slices.
            let read = (self.zlib.total_in() - read_before) as usize;
            let written = (self.zlib.total_out() - written_before) as usize;
            block = &block[read..];
            match outcome {
                Ok(Status::StreamEnd) => return Err(ProtocolError::Compression { source: None }),
                Ok(Status::Ok | Status::BufError) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    let set = self.zlib.set_dictionary(dictionary());
                    set.map_err(|source| ProtocolError::Compression { source: Some(source) })?;
                    continue;
                }
                Err(source) => return Err(ProtocolError::Compression { source: Some(source) }),
            }
            if plain.len() + written > self.limit_bytes {
                return Err(ProtocolError::HeaderBlock { limit: self.limit_bytes });
            }
            plain.extend_from_slice(&step[..written]);
            if written < step.len() {
                let is_whole = block.is_empty();
                return if is_whole { Ok(plain) } else { Err(ProtocolError::Compression { source: None }) };
            }
        }
    }
}

/// Why a header block is none. The stream it would open is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadHeaders {
    /// It ends within a header, or goes on after the last.
    Length,
    /// There are more headers than allowed.
    TooMany,
    /// A name is empty, or not in lower case.
    Name,
    /// A name comes twice.
    Twice,
    /// A name or a value is not UTF-8.
    Text,
}

/// The headers of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    pub(crate) fn parse(mut block: &[u8], max_headers: usize) -> Result<Self, BadHeaders> {
        let count = number(&mut block)?;
        if count > max_headers {
            return Err(BadHeaders::TooMany);
        }
        let mut headers = Self::default();
        for _ in 0..count {
            let name = text(&mut block)?;
            if name.is_empty() || name.bytes().any(|letter| letter.is_ascii_uppercase()) {
                return Err(BadHeaders::Name);
            }
            if headers.values(&name).is_some() {
                return Err(BadHeaders::Twice);
            }
            let values = text(&mut block)?;
            headers.0.push((name, values));
        }
        if block.is_empty() { Ok(headers) } else { Err(BadHeaders::Length) }
    }

    /// The first value of a header.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.values(name)?.split('\0').next()
    }

    /// The values of a header, with NUL between them.
    fn values(&self, name: &str) -> Option<&str> {
        let mut headers = self.0.iter();
        headers.find(|header| header.0.eq_ignore_ascii_case(name)).map(|header| header.1.as_str())
    }
}

fn number(block: &mut &[u8]) -> Result<usize, BadHeaders> {
    let (head, rest) = block.split_first_chunk().ok_or(BadHeaders::Length)?;
    *block = rest;
    usize::try_from(u32::from_be_bytes(*head)).map_err(|_| BadHeaders::Length)
}

fn text(block: &mut &[u8]) -> Result<String, BadHeaders> {
    let length = number(block)?;
    let (text, rest) = block.split_at_checked(length).ok_or(BadHeaders::Length)?;
    *block = rest;
    String::from_utf8(text.to_vec()).map_err(|_| BadHeaders::Text)
}

#[cfg(test)]
mod tests;
