//! Writes tar-split while an archive is read.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Crc64, FILE, SEGMENT};
use crate::tar::Recorder;

/// Raw bytes of one line at most. A header with its extensions fits, and readers expect it in one line.
const SEGMENT_LIMIT: usize = 1 << 20;

/// Compressed bytes written at once.
const OUTPUT_BUFFER: usize = 64 * 1024;

/// A tar-split file being written.
pub(crate) struct Writer {
    output: GzEncoder<BufWriter<File>>,
    segment: Vec<u8>,
    position: u64,
    crc: Crc64,
    size: u64,
}

impl Writer {
    pub(crate) fn new(file: File) -> Self {
        let output = GzEncoder::new(BufWriter::with_capacity(OUTPUT_BUFFER, file), Compression::fast());
        Self { output, segment: Vec::new(), position: 0, crc: Crc64::default(), size: 0 }
    }

    /// Notes the current file, whose contents, if any, were passed through [`Recorder::contents`]. No name may occur
    /// twice.
    pub(crate) fn file(&mut self, name: &[u8]) -> io::Result<()> {
        self.flush_segment()?;
        let (crc, size) = (std::mem::take(&mut self.crc), std::mem::take(&mut self.size));
        let mut line = Vec::with_capacity(name.len() + 96);
        write!(line, "{{\"type\":{FILE},")?;
        match std::str::from_utf8(name) {
            Ok("") => {}
            Ok(name) => {
                line.extend_from_slice(b"\"name\":");
                serde_json::to_writer(&mut line, name)?;
                line.push(b',');
            }
            Err(_) => write!(line, "\"name_raw\":\"{}\",", STANDARD.encode(name))?,
        }
        if size > 0 {
            write!(line, "\"size\":{size},\"payload\":\"{}\",", STANDARD.encode(crc.to_bytes()))?;
        } else {
            line.extend_from_slice(b"\"payload\":null,");
        }
        self.line(&line)
    }

    /// Completes the file and returns it, every byte handed to the kernel.
    pub(crate) fn finish(mut self) -> io::Result<File> {
        self.flush_segment()?;
        self.output.finish()?.into_inner().map_err(io::IntoInnerError::into_error)
    }

    /// Ends the line of raw bytes, so that the next header gets its own.
    pub(crate) fn flush_segment(&mut self) -> io::Result<()> {
        if self.segment.is_empty() {
            return Ok(());
        }
        let mut line = format!("{{\"type\":{SEGMENT},\"payload\":\"");
        STANDARD.encode_string(&self.segment, &mut line);
        line.push_str("\",");
        self.segment.clear();
        self.line(line.as_bytes())
    }

    fn line(&mut self, fields: &[u8]) -> io::Result<()> {
        self.output.write_all(fields)?;
        writeln!(self.output, "\"position\":{}}}", self.position)?;
        self.position += 1;
        Ok(())
    }
}

impl Recorder for Writer {
    fn raw(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let length = bytes.len().min(SEGMENT_LIMIT - self.segment.len());
            self.segment.extend_from_slice(&bytes[..length]);
            bytes = &bytes[length..];
            if self.segment.len() >= SEGMENT_LIMIT {
                self.flush_segment()?;
            }
        }
        Ok(())
    }

    fn contents(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.size += bytes.len() as u64;
    }
}
