//! The bridge from the asynchronous download to the blocking thread that unpacks.
//!
//! The channel is short, so that a slow disk slows the download down and memory stays bounded. Its end is explicit:
//! a stream that merely stops is an error to the reader, so a blob that was cut off can never pass for a whole one.

use std::io::{BufRead, Error, ErrorKind, Read, Result};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

/// Chunks in flight. A chunk is what one read from the socket gave, 400 KiB at most.
const CHUNKS: usize = 8;

/// What travels.
#[derive(Debug)]
enum Item {
    Chunk(Bytes),
    End,
}

/// The writing end, in the download task.
#[derive(Debug)]
pub(super) struct Sender(mpsc::Sender<Item>);

/// The reading end, in the blocking thread.
#[derive(Debug)]
pub(super) struct Receiver {
    items: mpsc::Receiver<Item>,
    chunk: Bytes,
    ended: bool,
}

/// The reader went away before the end.
#[derive(Debug)]
pub(super) struct ReaderGone;

pub(super) fn channel() -> (Sender, Receiver) {
    let (sender, items) = mpsc::channel(CHUNKS);
    let receiver = Receiver { items, chunk: Bytes::new(), ended: false };
    (Sender(sender), receiver)
}

impl Sender {
    /// Hands over a chunk; waits while the reader is behind.
    pub(super) async fn send(&self, chunk: Bytes) -> std::result::Result<(), ReaderGone> {
        self.0.send(Item::Chunk(chunk)).await.map_err(|_| ReaderGone)
    }

    /// Declares the stream complete and right.
    pub(super) async fn finish(self) -> std::result::Result<(), ReaderGone> {
        self.0.send(Item::End).await.map_err(|_| ReaderGone)
    }
}

impl BufRead for Receiver {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        while self.chunk.is_empty() && !self.ended {
            match self.items.blocking_recv() {
                Some(Item::Chunk(chunk)) => self.chunk = chunk,
                Some(Item::End) => self.ended = true,
                None => return Err(Error::new(ErrorKind::UnexpectedEof, "the transfer was cut off")),
            }
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount);
    }
}

impl Read for Receiver {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let available = self.fill_buf()?;
        let amount = available.len().min(buffer.len());
        buffer[..amount].copy_from_slice(&available[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}
