//! The client's side of SPDY/3.1, as right or as wrong as a test wants it.
//!
//! [`Wire`] makes frames and understands those of a server, without I/O; [`Client`] does the same over a connection. Neither
//! shares code with the server but the dictionary, so that one is a check of the other.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use crio_spdy::dictionary;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long a client waits for the server.
const PATIENCE: Duration = Duration::from_secs(20);
/// The flag of a frame that is the sender's last on a stream.
pub const FIN: u8 = 1;

const HEAD_BYTES: usize = 8;

/// A frame of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A stream was opened.
    SynReply {
        /// Which.
        id: u32,
        /// Its headers.
        headers: BTreeMap<String, String>,
    },
    /// A stream was reset.
    Reset {
        /// Which.
        id: u32,
        /// Why.
        status: u32,
    },
    /// A ping came back.
    Ping {
        /// Its number.
        number: u32,
    },
    /// No more streams.
    GoAway {
        /// The last that was taken.
        last_good: u32,
        /// Why.
        status: u32,
    },
    /// Bytes of a stream.
    Data {
        /// Which.
        id: u32,
        /// The bytes.
        bytes: Vec<u8>,
        /// Whether they are the last.
        is_last: bool,
    },
}

/// Frames, with the state of both compressions.
#[derive(Debug)]
pub struct Wire {
    deflate: Compress,
    inflate: Decompress,
    received: Vec<u8>,
}

impl Default for Wire {
    fn default() -> Self {
        let mut deflate = Compress::new(Compression::default(), true);
        deflate.set_dictionary(dictionary()).expect("a new stream takes a dictionary");
        Self { deflate, inflate: Decompress::new(true), received: Vec::new() }
    }
}

impl Wire {
    /// The frame that opens a stream.
    pub fn syn_stream(&mut self, id: u32, headers: &[(&str, &str)]) -> Vec<u8> {
        self.syn_stream_of(id, 0, &block(headers))
    }

    /// The frame that opens a stream, with flags and a header block of any kind.
    pub fn syn_stream_of(&mut self, id: u32, flags: u8, block: &[u8]) -> Vec<u8> {
        let mut payload = id.to_be_bytes().to_vec();
        payload.extend_from_slice(&[0; 6]);
        payload.extend_from_slice(&self.compressed(block));
        control(1, flags, &payload)
    }

    /// A header block as it goes over the wire.
    pub fn compressed(&mut self, block: &[u8]) -> Vec<u8> {
        let mut compressed = Vec::with_capacity(block.len() + 1024);
        let before = self.deflate.total_in();
        loop {
            let done = usize::try_from(self.deflate.total_in() - before).expect("no more than the block");
            compressed.reserve(1024);
            let room = compressed.capacity();
            self.deflate.compress_vec(&block[done..], &mut compressed, FlushCompress::Sync).expect("deflate");
            if compressed.len() < room {
                return compressed;
            }
        }
    }

    /// Takes bytes of the server.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// The server's next frame, if it is here as a whole.
    ///
    /// # Errors
    /// It is none that a server of ours may send.
    pub fn next_frame(&mut self) -> Result<Option<Frame>> {
        let Some(head) = self.received.first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let word = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
        let flags = head[4];
        if self.received.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        let payload: Vec<u8> = self.received.drain(..HEAD_BYTES + length).skip(HEAD_BYTES).collect();
        if word >> 31 == 0 {
            return Ok(Some(Frame::Data { id: word, bytes: payload, is_last: flags & FIN != 0 }));
        }
        ensure!(word >> 16 == 0x8003, "a control frame of another version: {word:x}");
        ensure!(flags == 0, "a control frame with flags: {flags}");
        let number = |at: usize| -> Result<u32> {
            let bytes = payload.get(at..at + 4).context("a control frame that is too short")?;
            Ok(u32::from_be_bytes(bytes.try_into()?))
        };
        let id = number(0)?;
        Ok(Some(match word & 0xffff {
            2 => Frame::SynReply { id, headers: self.headers(&payload[4..])? },
            3 => Frame::Reset { id, status: number(4)? },
            6 => Frame::Ping { number: id },
            7 => Frame::GoAway { last_good: id, status: number(4)? },
            kind => bail!("a frame of kind {kind}"),
        }))
    }

    fn headers(&mut self, mut compressed: &[u8]) -> Result<BTreeMap<String, String>> {
        let mut block = Vec::with_capacity(64 << 10);
        loop {
            let before = self.inflate.total_in();
            let outcome = self.inflate.decompress_vec(compressed, &mut block, FlushDecompress::Sync);
            compressed = &compressed[usize::try_from(self.inflate.total_in() - before)?..];
            match outcome {
                Err(error) if error.needs_dictionary().is_some() => self.inflate.set_dictionary(dictionary())?,
                Err(error) => bail!(error),
                Ok(_) => break,
            };
        }
        ensure!(compressed.is_empty(), "{} bytes of a header block are left", compressed.len());
        let mut rest = block.as_slice();
        let mut number = || -> Result<usize> {
            let (head, tail) = rest.split_first_chunk().context("a header block that is too short")?;
            rest = tail;
            Ok(u32::from_be_bytes(*head) as usize)
        };
        // The server has nothing to say in headers.
        ensure!(number()? == 0 && rest.is_empty(), "headers in {block:?}");
        Ok(BTreeMap::new())
    }
}

/// A header block, not compressed.
#[must_use]
pub fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let texts = headers.iter().flat_map(|(name, value)| [name, value]);
    let mut block = (headers.len() as u32).to_be_bytes().to_vec();
    for text in texts {
        block.extend_from_slice(&(text.len() as u32).to_be_bytes());
        block.extend_from_slice(text.as_bytes());
    }
    block
}

/// A control frame of any kind.
#[must_use]
pub fn control(kind: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(0x8003_0000 | u32::from(kind), flags, payload)
}

/// A frame with bytes of a stream.
#[must_use]
pub fn data(id: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(id, flags, bytes)
}

/// The frame that gives up a stream.
#[must_use]
pub fn reset(id: u32) -> Vec<u8> {
    control(3, 0, &[id.to_be_bytes(), 5u32.to_be_bytes()].concat())
}

/// The frame that wants to come back.
#[must_use]
pub fn ping(number: u32) -> Vec<u8> {
    control(6, 0, &number.to_be_bytes())
}

/// The frame after which a client opens no streams.
#[must_use]
pub fn go_away() -> Vec<u8> {
    control(7, 0, &[0; 8])
}

fn frame(word: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = word.to_be_bytes().to_vec();
    frame.extend_from_slice(&(u32::from(flags) << 24 | payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A client over a connection.
#[derive(Debug)]
pub struct Client<T> {
    /// The connection.
    pub io: T,
    /// Frames.
    pub wire: Wire,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Client<T> {
    /// A client that has said nothing yet.
    pub fn new(io: T) -> Self {
        Self { io, wire: Wire::default() }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The server does not take them.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        timeout(PATIENCE, self.io.write_all(bytes)).await.context("the server does not read")??;
        Ok(())
    }

    /// Asks for a stream.
    ///
    /// # Errors
    /// The server does not take it.
    pub async fn open(&mut self, id: u32, headers: &[(&str, &str)]) -> Result<()> {
        let frame = self.wire.syn_stream(id, headers);
        self.send(&frame).await
    }

    /// The server's next frame; none when it has left.
    ///
    /// # Errors
    /// None comes, or one that makes no sense.
    pub async fn frame(&mut self) -> Result<Option<Frame>> {
        timeout(PATIENCE, self.received()).await.context("the server says nothing")?
    }

    /// All that the server says until it leaves.
    ///
    /// # Errors
    /// As [`Client::frame`].
    pub async fn rest(&mut self) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await? {
            frames.push(frame);
        }
        Ok(frames)
    }

    async fn received(&mut self) -> Result<Option<Frame>> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            if let Some(frame) = self.wire.next_frame()? {
                return Ok(Some(frame));
            }
            let count = self.io.read(&mut buffer).await?;
            if count == 0 {
                ensure!(self.wire.received.is_empty(), "the server left within a frame");
                return Ok(None);
            }
            self.wire.receive(&buffer[..count]);
        }
    }
}
