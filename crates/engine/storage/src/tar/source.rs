//! The buffered input of an archive, and why reading it failed.

use std::io::{self, Read};

use super::{BLOCK, Recorder};

/// Bytes read from the stream at once.
const BUFFER: usize = 256 * 1024;

/// An archive that cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TarError {
    #[error("reading the archive at byte {position}")]
    Read { position: u64, source: io::Error },
    #[error("the archive is malformed at byte {position}: {what}")]
    Malformed { position: u64, what: &'static str },
    #[error("the archive has more {what} than {limit}")]
    Limit { what: &'static str, limit: u64 },
    #[error("recording the archive")]
    Record(#[source] io::Error),
}

impl TarError {
    pub(crate) fn malformed(position: u64, what: &'static str) -> Self {
        Self::Malformed { position, what }
    }
}

/// A reader with a buffer, a position and a limit.
pub(crate) struct Source<R> {
    reader: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    position: u64,
    limit: u64,
}

impl<R: Read> Source<R> {
    pub(crate) fn new(reader: R, limit: u64) -> Self {
        Self { reader, buffer: vec![0; BUFFER].into_boxed_slice(), start: 0, end: 0, position: 0, limit }
    }

    /// Bytes consumed so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes that are ready, at least one; `None` at the end of the stream.
    pub(crate) fn fill_or_end(&mut self) -> Result<Option<&[u8]>, TarError> {
        if self.start == self.end {
            self.start = 0;
            self.end = self.read()?;
        }
        Ok((self.start < self.end).then(|| &self.buffer[self.start..self.end]))
    }

    /// Bytes that are ready, at least one.
    pub(crate) fn fill(&mut self) -> Result<&[u8], TarError> {
        let position = self.position;
        self.fill_or_end()?.ok_or_else(|| truncated(position))
    }

    /// Marks bytes that [`Source::fill`] returned as read.
    pub(crate) fn consume(&mut self, length: usize) {
        self.start += length;
        self.position += length as u64;
    }

    /// One block, recorded; `None` when the stream ends before it.
    pub(crate) fn block_or_end(&mut self, recorder: &mut impl Recorder) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let position = self.position;
            let Some(ready) = self.fill_or_end()? else {
                return if filled == 0 { Ok(None) } else { Err(truncated(position)) };
            };
            let length = ready.len().min(BLOCK - filled);
            block[filled..filled + length].copy_from_slice(&ready[..length]);
            filled += length;
            self.consume(length);
        }
        recorder.raw(&block).map_err(TarError::Record)?;
        Ok(Some(block))
    }

    /// One block, recorded.
    pub(crate) fn block(&mut self, recorder: &mut impl Recorder) -> Result<[u8; BLOCK], TarError> {
        let position = self.position;
        self.block_or_end(recorder)?.ok_or_else(|| truncated(position))
    }

    fn read(&mut self) -> Result<usize, TarError> {
        loop {
            match self.reader.read(&mut self.buffer) {
                Ok(length) if self.position.saturating_add(length as u64) > self.limit => {
                    return Err(TarError::Limit { what: "bytes", limit: self.limit });
                }
                Ok(length) => return Ok(length),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(TarError::Read { position: self.position, source });
                }
            }
        }
    }
}

fn truncated(position: u64) -> TarError {
    TarError::Read { position, source: io::ErrorKind::UnexpectedEof.into() }
}
