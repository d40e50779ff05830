//! A blob as a stream of chunks that survives a broken connection.
//!
//! When the body breaks off, the rest is asked for with `Range`; a registry that sends the whole again has its
//! beginning skipped. Whether both halves belong together is shown by the digest, which the reader computes over
//! everything it was given. Time spent waiting for the reader does not count against the registry.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};
use tokio::time::Instant;

use super::error::RegistryError;
use super::session::Session;
use super::transport::Timeouts;
use crate::digest::Digest;

/// Interruptions in a row without [`PROGRESS_BYTES`] between them.
const MAX_INTERRUPTIONS: u32 = 5;
/// Silences among those: each has cost the stall limit already.
const MAX_STALLS: u32 = 2;
/// What makes an interruption forgiven.
const PROGRESS_BYTES: u64 = 1 << 20;

/// A blob being downloaded.
#[derive(Debug)]
pub(crate) struct BlobStream<'a> {
    session: &'a Session,
    digest: Digest,
    size_bytes: u64,
    offset: u64,
    /// Bytes at the front of the present response that were delivered before.
    to_skip: u64,
    response: Option<Response>,
    interruptions: u32,
    stalls: u32,
    progress_mark: u64,
    floor: Floor,
}

impl<'a> BlobStream<'a> {
    /// A stream of the blob with this digest, which its descriptor says has `size_bytes`.
    pub(crate) fn new(session: &'a Session, digest: Digest, size_bytes: u64) -> Self {
        Self {
            session,
            digest,
            size_bytes,
            offset: 0,
            to_skip: 0,
            response: None,
            interruptions: 0,
            stalls: 0,
            progress_mark: 0,
            floor: Floor::new(session.transport.timeouts.floor_window),
        }
    }

    /// The next bytes; `None` after exactly as many as the descriptor says.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            if self.response.is_none() {
                if self.offset == self.size_bytes && self.size_bytes > 0 {
                    return Ok(None);
                }
                self.open().await?;
            }
            let waited_from = Instant::now();
            let received = self.receive().await;
            let waited = waited_from.elapsed();
            match received {
                Ok(Some(chunk)) => {
                    let chunk = self.accept(chunk)?;
                    self.floor
                        .passed(waited, chunk.len() as u64)
                        .map_err(|floor_bytes_per_s| RegistryError::TooSlow { host: self.host(), floor_bytes_per_s })?;
                    if !chunk.is_empty() {
                        return Ok(Some(chunk));
                    }
                }
                Ok(None) if self.offset == self.size_bytes => return Ok(None),
                Ok(None) => self.interrupted(None)?,
                Err(error) => self.interrupted(Some(error))?,
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let stall = self.session.transport.timeouts.stall;
        let host = self.host();
        let Some(response) = self.response.as_mut() else {
            return Ok(None);
        };
        match tokio::time::timeout(stall, response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(RegistryError::Unreachable { host, source: Box::new(error.without_url()) }),
            Err(_) => Err(RegistryError::Stalled { host, after: stall }),
        }
    }

    async fn open(&mut self) -> Result<(), RegistryError> {
        let response = self.session.open_blob(&self.digest, self.offset).await?;
        self.to_skip = if response.status() == StatusCode::PARTIAL_CONTENT {
            let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
            let right = self.offset > 0 && range.and_then(range_start) == Some(self.offset);
            if !right {
                return Err(RegistryError::WrongRange { host: self.host() });
            }
            0
        } else {
            self.offset
        };
        let left = self.size_bytes - self.offset;
        if response.content_length().is_some_and(|length| length > left + self.to_skip) {
            return Err(self.too_large());
        }
        self.response = Some(response);
        Ok(())
    }

    /// What of a chunk is new.
    fn accept(&mut self, mut chunk: Bytes) -> Result<Bytes, RegistryError> {
        if self.to_skip > 0 {
            let skipped = self.to_skip.min(chunk.len() as u64);
            self.to_skip -= skipped;
            chunk = chunk.slice(usize::try_from(skipped).unwrap_or(chunk.len())..);
        }
        if chunk.len() as u64 > self.size_bytes - self.offset {
            return Err(self.too_large());
        }
        self.offset += chunk.len() as u64;
        Ok(chunk)
    }

    /// Notes that the body ended early; fails when that has happened too often.
    fn interrupted(&mut self, error: Option<RegistryError>) -> Result<(), RegistryError> {
        self.response = None;
        if self.offset - self.progress_mark >= PROGRESS_BYTES {
            self.interruptions = 0;
            self.stalls = 0;
        }
        self.progress_mark = self.offset;
        self.interruptions += 1;
        self.stalls += u32::from(matches!(error, Some(RegistryError::Stalled { .. })));
        if self.stalls >= MAX_STALLS || self.interruptions >= MAX_INTERRUPTIONS {
            return Err(error.unwrap_or_else(|| RegistryError::BrokenOff {
                host: self.host(),
                offset: self.offset,
                total: self.size_bytes,
            }));
        }
        tracing::debug!(digest = %self.digest, offset = self.offset, "the blob broke off and is resumed");
        Ok(())
    }

    fn too_large(&self) -> RegistryError {
        RegistryError::TooLarge { host: self.host(), limit: self.size_bytes }
    }

    fn host(&self) -> String {
        self.session.registry().to_owned()
    }
}

/// The first position of `bytes <first>-<last>/<total>`.
fn range_start(value: &str) -> Option<u64> {
    let (first, _) = value.strip_prefix("bytes ")?.split_once('-')?;
    first.trim().parse().ok()
}

/// Watches that a transfer keeps a least rate over each window of waiting.
#[derive(Debug)]
struct Floor {
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Floor {
    fn new(window: Duration) -> Self {
        Self { window, waited: Duration::ZERO, bytes: 0 }
    }

    /// Notes `bytes` that took `waited`; the floor in bytes a second when the window closed below it.
    fn passed(&mut self, waited: Duration, bytes: u64) -> Result<(), u64> {
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < self.window {
            return Ok(());
        }
        let least = self.waited.as_secs().saturating_mul(Timeouts::FLOOR_BYTES_PER_S);
        if self.bytes < least {
            return Err(Timeouts::FLOOR_BYTES_PER_S);
        }
        *self = Self::new(self.window);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges() {
        for (value, expected) in [
            ("bytes 5-9/10", Some(5)),
            ("bytes 0-9/*", Some(0)),
            ("bytes */10", None),
            ("5-9/10", None),
            ("bytes -5", None),
            ("", None),
        ] {
            assert_eq!(range_start(value), expected, "{value}");
        }
    }

    #[test]
    fn a_trickle_is_noticed_when_the_window_closes() {
        let mut floor = Floor::new(Duration::from_secs(60));
        for _ in 0..59 {
            assert_eq!(floor.passed(Duration::from_secs(1), 10), Ok(()));
        }
        assert!(floor.passed(Duration::from_secs(1), 10).is_err());
        let mut fast = Floor::new(Duration::from_secs(60));
        for _ in 0..600 {
            assert_eq!(fast.passed(Duration::from_secs(1), 2048), Ok(()));
        }
    }
}
