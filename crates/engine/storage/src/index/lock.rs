//! The lock file of a table, and the token in it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crio_sys::lock::{LockMode, lock};

use crate::error::TableError;

/// Bytes of a token.
const TOKEN_BYTES: usize = 64;

static WRITES: AtomicU64 = AtomicU64::new(0);

/// What the last writer left in the lock file; empty when nobody wrote yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token(Vec<u8>);

impl Token {
    /// A token like no other: time, a count, the process, and random bytes.
    fn fresh() -> io::Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        bytes.extend_from_slice(&(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)).to_le_bytes());
        bytes.extend_from_slice(&WRITES.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        bytes.extend_from_slice(&std::process::id().to_le_bytes());
        let filling = [crio_sys::random::bytes32()?, crio_sys::random::bytes32()?].concat();
        bytes.extend_from_slice(&filling[..TOKEN_BYTES - bytes.len()]);
        Ok(Self(bytes))
    }

    fn read(file: &File) -> io::Result<Self> {
        let mut bytes = vec![0; TOKEN_BYTES];
        let length = file.read_at(&mut bytes, 0)?;
        bytes.truncate(length);
        Ok(Self(bytes))
    }
}

/// A lock file. It is opened anew for every use, because other programs may replace it.
#[derive(Debug)]
pub(crate) struct LockFile {
    path: PathBuf,
    timeout: Duration,
}

impl LockFile {
    pub(crate) fn new(path: PathBuf, timeout: Duration) -> Self {
        Self { path, timeout }
    }

    /// The token, without locking.
    pub(crate) fn token(&self) -> Result<Token, TableError> {
        self.open().and_then(|file| Token::read(&file)).map_err(|source| self.error(source))
    }

    /// The lock, together with other readers.
    pub(crate) fn shared(&self) -> Result<Guard, TableError> {
        self.lock(LockMode::Shared)
    }

    /// The lock, alone.
    pub(crate) fn exclusive(&self) -> Result<Guard, TableError> {
        self.lock(LockMode::Exclusive)
    }

    fn lock(&self, mode: LockMode) -> Result<Guard, TableError> {
        let file = self.open().map_err(|source| self.error(source))?;
        lock(&file, mode, self.timeout).map_err(|source| self.error(source))?;
        Ok(Guard { file, path: self.path.clone() })
    }

    fn open(&self) -> io::Result<File> {
        open(&self.path)
    }

    fn error(&self, source: io::Error) -> TableError {
        TableError::Lock { path: self.path.clone(), source }
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).mode(0o644).open(path)
}

/// A lock that is held. Dropping it lets go.
#[derive(Debug)]
pub(crate) struct Guard {
    file: File,
    path: PathBuf,
}

impl Guard {
    /// The token.
    pub(crate) fn token(&self) -> Result<Token, TableError> {
        Token::read(&self.file).map_err(|source| TableError::Lock { path: self.path.clone(), source })
    }

    /// A token for the next write.
    pub(crate) fn fresh_token(&self) -> Result<Token, TableError> {
        Token::fresh().map_err(|source| TableError::Write { path: self.path.clone(), source })
    }

    /// Changes the token, which tells every other process to read the table again.
    pub(crate) fn record_write(&self, token: &Token) -> Result<(), TableError> {
        let written = self.file.write_all_at(&token.0, 0);
        written.map_err(|source| TableError::Write { path: self.path.clone(), source })
    }
}
