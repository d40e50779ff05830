//! Reads tar archives: headers and extended headers become one [`Entry`] per file.
//!
//! Understands v7, ustar, PAX, GNU long names and every GNU sparse format, with the precedence of Go's `archive/tar`,
//! which decides what the layers of container images mean. Header-only types carry no data whatever their size field
//! says; a PAX size overrides the header's; global headers change nothing.
//!
//! Every byte of the stream passes through a [`Recorder`] in order: headers and padding as *raw* bytes, file contents
//! as the reader of the payload asks. That is what makes a layer reproducible. Nothing is extracted here and nothing
//! is trusted: sizes and counts have limits that are checked before memory is used.

mod entry;
mod header;
mod pax;
mod source;
mod sparse;

pub(crate) use entry::{Entry, Kind, Region, Time};
pub(crate) use source::TarError;

use std::io::Read;

use crate::config::ApplyLimits;
use header::Header;
use pax::Extensions;
use source::Source;

/// Size of a tar block in bytes.
const BLOCK: usize = 512;

/// Receives the archive's bytes in order.
pub(crate) trait Recorder {
    /// Headers, padding, and contents that are kept as they are.
    fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()>;
    /// Contents of the current entry that the extracted file will hold.
    fn contents(&mut self, bytes: &[u8]);
}

/// Where the bytes of a payload go in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    /// They can be read back from the extracted file.
    Referenced,
    /// They are recorded themselves.
    Recorded,
}

/// An archive being read.
pub(crate) struct Archive<R> {
    source: Source<R>,
    limits: ApplyLimits,
    entries: u64,
    /// Bytes of the current payload that were not read yet.
    remaining: u64,
    /// Zeros after the current payload.
    padding: u64,
    payload: Payload,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(reader: R, limits: ApplyLimits) -> Self {
        let source = Source::new(reader, limits.archive_bytes);
        Self { source, limits, entries: 0, remaining: 0, padding: 0, payload: Payload::Recorded }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> u64 {
        self.source.position()
    }

    /// Entries seen so far.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// The next file, after skipping what is left of the current one. `None` at the end of the archive.
    pub(crate) fn next_entry(&mut self, recorder: &mut impl Recorder) -> Result<Option<Entry>, TarError> {
        self.finish_entry(recorder)?;
        let mut extensions = Extensions::default();
        loop {
            let Some(header) = self.next_header(recorder)? else {
                return Ok(None);
            };
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(TarError::Limit { what: "entries", limit: self.limits.entries });
            }
            match header.type_flag {
                b'x' => extensions.set_pax(&self.extension(&header, recorder)?, &self.limits)?,
                b'g' => {
                    self.extension(&header, recorder)?;
                }
                b'L' => extensions.long_name = Some(until_nul(self.extension(&header, recorder)?)),
                b'K' => extensions.long_link = Some(until_nul(self.extension(&header, recorder)?)),
                _ => return self.entry(&header, &extensions, recorder).map(Some),
            }
        }
    }

    /// Decides what the record keeps of the current payload; to be called before the first chunk is read.
    pub(crate) fn set_payload(&mut self, payload: Payload) {
        self.payload = payload;
    }

    /// Reads up to `limit` bytes of the current payload and hands them to `sink`. Returns how many; 0 at its end.
    pub(crate) fn read_chunk<E: From<TarError>>(
        &mut self,
        limit: u64,
        recorder: &mut impl Recorder,
        sink: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let wanted = self.remaining.min(limit);
        if wanted == 0 {
            return Ok(0);
        }
        let available = self.source.fill()?;
        let length = available.len().min(usize::try_from(wanted).unwrap_or(usize::MAX));
        let chunk = &available[..length];
        match self.payload {
            Payload::Referenced => recorder.contents(chunk),
            Payload::Recorded => recorder.raw(chunk).map_err(TarError::Record)?,
        }
        sink(chunk)?;
        self.source.consume(length);
        self.remaining -= length as u64;
        Ok(length as u64)
    }

    /// Reads everything after the last entry up to the end of the stream.
    pub(crate) fn finish(&mut self, recorder: &mut impl Recorder) -> Result<(), TarError> {
        self.finish_entry(recorder)?;
        while let Some(bytes) = self.source.fill_or_end()? {
            let length = bytes.len();
            recorder.raw(bytes).map_err(TarError::Record)?;
            self.source.consume(length);
        }
        Ok(())
    }

    fn finish_entry(&mut self, recorder: &mut impl Recorder) -> Result<(), TarError> {
        self.payload = Payload::Recorded;
        self.remaining += std::mem::take(&mut self.padding);
        while self.read_chunk::<TarError>(u64::MAX, recorder, |_| Ok(()))? > 0 {}
        Ok(())
    }

    /// The next header that is not an end mark. Two zero blocks, or the end of the stream, end the archive.
    fn next_header(&mut self, recorder: &mut impl Recorder) -> Result<Option<Header>, TarError> {
        let Some(block) = self.source.block_or_end(recorder)? else {
            return Ok(None);
        };
        if block.iter().any(|byte| *byte != 0) {
            return Header::parse(&block, self.position()).map(Some);
        }
        match self.source.block_or_end(recorder)? {
            Some(second) if second.iter().any(|byte| *byte != 0) => {
                Err(TarError::malformed(self.position(), "a zero block inside the archive"))
            }
            _ => Ok(None),
        }
    }

    /// The contents of an extended header, within its limit.
    fn extension(&mut self, header: &Header, recorder: &mut impl Recorder) -> Result<Vec<u8>, TarError> {
        if header.size > self.limits.header_bytes as u64 {
            return Err(TarError::Limit {
                what: "bytes of an extended header",
                limit: self.limits.header_bytes as u64,
            });
        }
        self.remaining = header.size;
        self.padding = padding_of(header.size);
        let mut contents = Vec::new();
        while self.read_chunk::<TarError>(u64::MAX, recorder, |chunk| {
            contents.extend_from_slice(chunk);
            Ok(())
        })? > 0
        {}
        self.finish_entry(recorder)?;
        Ok(contents)
    }

    fn entry(
        &mut self,
        header: &Header,
        extensions: &Extensions,
        recorder: &mut impl Recorder,
    ) -> Result<Entry, TarError> {
        let position = self.position();
        let mut entry = Entry::new(header, extensions, &self.limits, position)?;
        let stored = if entry.kind == Kind::File { extensions.size.unwrap_or(header.size) } else { 0 };
        entry.size = stored;
        self.remaining = stored;
        self.padding = padding_of(stored);
        let map = if header.type_flag == b'S' {
            Some(sparse::old_gnu(header, self, recorder)?)
        } else {
            sparse::pax(extensions, self, recorder)?
        };
        if let Some(map) = map
            && entry.kind == Kind::File
        {
            map.check(self.remaining, position)?;
            entry.size = map.real_size;
            entry.regions = Some(map.regions);
        }
        Ok(entry)
    }
}

/// Zeros between the end of a payload and the next header.
fn padding_of(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64).saturating_sub(size)
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

#[cfg(test)]
mod tests;
