//! Container logs, as kubelet reads them: `<time> <stream> <F or P> <bytes>` a line.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, as RFC 3339 with nanoseconds.
    pub time: String,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// Whether the line goes on in the next entry of its stream.
    pub is_partial: bool,
    /// The bytes, without a newline.
    pub content: Vec<u8>,
}

/// Reads a log.
///
/// # Errors
/// It cannot be read, or a line is no log line.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(bytes.is_empty() || bytes.ends_with(b"\n"), "the log ends within a line");
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.map(parse).collect()
}

fn parse(line: &[u8]) -> Result<Line> {
    let shown = || format!("no log line: {:?}", String::from_utf8_lossy(&line[..line.len().min(200)]));
    let mut parts = line[..line.len() - 1].splitn(4, |byte| *byte == b' ');
    let mut word = || parts.next().map(|part| String::from_utf8_lossy(part).into_owned());
    let (time, stream, tag) = (word(), word(), word());
    let content = parts.next().with_context(shown)?.to_vec();
    let time = time.with_context(shown)?;
    let stream = stream.with_context(shown)?;
    ensure!(time.len() >= 30 && time.as_bytes()[10] == b'T', shown());
    ensure!(stream == "stdout" || stream == "stderr", shown());
    let tag = tag.with_context(shown)?;
    ensure!(tag == "F" || tag == "P", shown());
    Ok(Line { time, stream, is_partial: tag == "P", content })
}

/// What was written to one stream, to the byte.
#[must_use]
pub fn content(lines: &[Line], stream: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines.iter().filter(|line| line.stream == stream) {
        bytes.extend_from_slice(&line.content);
        if !line.is_partial {
            bytes.push(b'\n');
        }
    }
    bytes
}
