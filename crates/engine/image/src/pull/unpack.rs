//! From a blob's bytes to its tar stream: decompression with limits, hashed on the way.
//!
//! Runs on a blocking thread. The format is told by the first bytes, as containers/image does: registries hold many
//! layers whose media type is wrong. What decompression yields is bounded in relation to what came in, so that a bomb
//! is stopped long before it fills the disk; a zstd frame that wants a window above [`ZSTD_WINDOW_LOG`] is refused,
//! because the window is memory.

use std::io::{BufRead, BufReader, Cursor, Error, Read, Result};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use super::sink::Compression;
use crate::digest::Digest;

/// Largest zstd window: 2^27 bytes are 128 MiB, zstd's own default for decompression.
const ZSTD_WINDOW_LOG: u32 = 27;
/// What the sink reads from; large, so that hashing and decompressing happen in long runs.
const BUFFER_BYTES: usize = 128 << 10;
const MAGIC_BYTES: usize = 6;

/// How much a layer may grow when it is decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Uncompressed bytes allowed for each compressed one.
    pub ratio: u64,
    /// Uncompressed bytes allowed on top of that.
    pub allowance_bytes: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        // Real layers stay below 1:20; gzip reaches 1:1032 and zstd far more, on nothing but zeros.
        Self { ratio: 40, allowance_bytes: 1 << 30 }
    }
}

impl UnpackLimits {
    /// The most a blob of `compressed_bytes` may become.
    #[must_use]
    pub fn most(&self, compressed_bytes: u64) -> u64 {
        compressed_bytes.saturating_mul(self.ratio).saturating_add(self.allowance_bytes)
    }
}

/// Why a stream could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnpackError {
    #[error("the layer is compressed with {0}, which is not supported")]
    Format(&'static str),
    #[error("the layer grows beyond {limit} bytes when it is decompressed")]
    Bomb { limit: u64 },
    #[error("decompressing the layer")]
    Corrupt(#[source] Error),
}

/// A tar stream coming out of a blob.
pub(super) struct Unpacker {
    reader: BufReader<Hashing>,
    compression: Compression,
}

/// What the whole stream turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unpacked {
    pub(super) diff_id: Digest,
    pub(super) size_bytes: u64,
    pub(super) compression: Compression,
}

impl Unpacker {
    /// Starts unpacking; `limit` is the most bytes that may come out.
    pub(super) fn new(mut blob: impl BufRead + Send + 'static, limit: u64) -> std::result::Result<Self, UnpackError> {
        let mut magic = Vec::with_capacity(MAGIC_BYTES);
        (&mut blob).take(MAGIC_BYTES as u64).read_to_end(&mut magic).map_err(UnpackError::Corrupt)?;
        let compression = detect(&magic)?;
        let blob = Cursor::new(magic).chain(blob);
        let decompressed: Box<dyn Read + Send> = match compression {
            Compression::None => Box::new(blob),
            Compression::Gzip => Box::new(MultiGzDecoder::new(blob)),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(blob).map_err(UnpackError::Corrupt)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(UnpackError::Corrupt)?;
                Box::new(decoder)
            }
        };
        let hashing = Hashing { decompressed, hasher: Sha256::new(), size_bytes: 0, limit, failure: None };
        Ok(Self { reader: BufReader::with_capacity(BUFFER_BYTES, hashing), compression })
    }

    /// The reason the stream failed, if it did: the sink that read it only saw an I/O error.
    pub(super) fn take_failure(&mut self) -> Option<UnpackError> {
        self.reader.get_mut().failure.take()
    }

    /// Reads what the sink left, so that the digests cover every byte, and says what the stream was.
    pub(super) fn finish(mut self) -> std::result::Result<Unpacked, UnpackError> {
        std::io::copy(&mut self.reader, &mut std::io::sink())
            .map_err(|error| self.take_failure().unwrap_or(UnpackError::Corrupt(error)))?;
        let hashing = self.reader.into_inner();
        Ok(Unpacked {
            diff_id: Digest::from_hasher(hashing.hasher),
            size_bytes: hashing.size_bytes,
            compression: self.compression,
        })
    }
}

impl Read for Unpacker {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.reader.read(buffer)
    }
}

struct Hashing {
    decompressed: Box<dyn Read + Send>,
    hasher: Sha256,
    size_bytes: u64,
    limit: u64,
    failure: Option<UnpackError>,
}

impl Hashing {
    fn fail(&mut self, failure: UnpackError) -> Error {
        let text = failure.to_string();
        self.failure.get_or_insert(failure);
        Error::other(text)
    }
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.failure.is_some() {
            return Err(Error::other("the stream has failed before"));
        }
        let amount = match self.decompressed.read(buffer) {
            Ok(amount) => amount,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(self.fail(UnpackError::Corrupt(error))),
        };
        self.size_bytes += amount as u64;
        if self.size_bytes > self.limit {
            let limit = self.limit;
            return Err(self.fail(UnpackError::Bomb { limit }));
        }
        self.hasher.update(&buffer[..amount]);
        Ok(amount)
    }
}

fn detect(magic: &[u8]) -> std::result::Result<Compression, UnpackError> {
    match magic {
        [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
        // A data frame, or one of the frames that carry no data; zstd:chunked layers end in such.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Compression::Zstd),
        [0x42, 0x5a, 0x68, ..] => Err(UnpackError::Format("bzip2")),
        [0xfd, b'7', b'z', b'X', b'Z', 0x00] => Err(UnpackError::Format("xz")),
        _ => Ok(Compression::None),
    }
}

#[cfg(test)]
mod tests;
