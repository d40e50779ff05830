//! What is kept of a layer's archive besides the extracted files, so that the same bytes can be written again.
//!
//! The format is tar-split's, as containers/storage keeps it in `overlay-layers/<id>.tar-split.gz`: gzip over one JSON
//! object a line, in archive order. Type 2 holds raw bytes (headers, padding), type 1 names a file whose contents
//! follow, with its size and the CRC-64 (ISO) of its contents. A name occurs once.

mod crc64;
mod reader;
mod writer;

pub(crate) use crc64::Crc64;
pub use reader::AssembleError;
pub(crate) use reader::assemble;
pub(crate) use writer::Writer;

/// Line type of a file whose contents follow.
const FILE: u8 = 1;
/// Line type of raw bytes.
const SEGMENT: u8 = 2;
