//! Puts an archive together again from tar-split and the extracted files.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crio_sys::confined::Root;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use super::{Crc64, FILE, SEGMENT};

/// Bytes of one line of tar-split at most. Podman writes a segment of a mebibyte at the end of an archive.
const LINE_LIMIT: u64 = 16 << 20;

/// An archive that cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The tar-split file cannot be read.
    #[error("reading tar-split line {line}")]
    Read {
        /// Which line, from 0.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// The tar-split file makes no sense.
    #[error("tar-split line {line} is malformed")]
    Malformed {
        /// Which line, from 0.
        line: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// A file of the layer cannot be read.
    #[error("reading {path:?} of the layer")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file of the layer is not what was extracted.
    #[error("{path:?} of the layer changed since it was extracted")]
    Changed {
        /// The file.
        path: String,
    },
    /// The archive cannot be written.
    #[error("writing the archive")]
    Write(#[source] io::Error),
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default)]
    name: String,
    #[serde(default)]
    name_raw: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    payload: Option<String>,
}

/// Writes the archive of which `tar_split` was kept and whose files are below `files`.
pub(crate) fn assemble(tar_split: impl Read, files: &Root, mut out: impl Write) -> Result<(), AssembleError> {
    let mut lines = BufReader::new(MultiGzDecoder::new(tar_split));
    let mut text = Vec::new();
    for line in 0.. {
        text.clear();
        let read = lines.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut text);
        if read.map_err(|source| AssembleError::Read { line, source })? == 0 {
            break;
        }
        let parsed: Line = serde_json::from_slice(&text).map_err(|source| AssembleError::Malformed { line, source })?;
        let decode = |text: &str| {
            STANDARD
                .decode(text)
                .map_err(|error| AssembleError::Malformed { line, source: serde::de::Error::custom(error) })
        };
        let payload = decode(parsed.payload.as_deref().unwrap_or_default())?;
        match parsed.kind {
            SEGMENT => out.write_all(&payload).map_err(AssembleError::Write)?,
            FILE if parsed.size > 0 => {
                let raw = decode(&parsed.name_raw)?;
                let name = if raw.is_empty() { parsed.name.as_bytes() } else { &raw };
                copy(files, name, parsed.size, &payload, &mut out)?;
            }
            _ => {}
        }
    }
    out.flush().map_err(AssembleError::Write)
}

fn copy(files: &Root, name: &[u8], size: u64, expected: &[u8], out: &mut impl Write) -> Result<(), AssembleError> {
    let path = String::from_utf8_lossy(name).into_owned();
    let fail = |source| AssembleError::File { path: path.clone(), source };
    let mut file = files.open_file(Path::new(OsStr::from_bytes(name))).map_err(fail)?.take(size + 1);
    let mut buffer = vec![0; 128 * 1024];
    let mut crc = Crc64::default();
    let mut total = 0u64;
    loop {
        let length = file.read(&mut buffer).map_err(fail)?;
        if length == 0 {
            break;
        }
        crc.update(&buffer[..length]);
        total += length as u64;
        out.write_all(&buffer[..length]).map_err(AssembleError::Write)?;
    }
    if total == size && crc.to_bytes() == expected { Ok(()) } else { Err(AssembleError::Changed { path }) }
}
