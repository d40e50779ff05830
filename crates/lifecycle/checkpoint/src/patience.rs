//! How long somebody waits: work on an archive of any size looks at it between two chunks.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Ends at a moment, or when it is given up. Clones share that.
#[derive(Debug, Clone)]
pub struct Patience {
    deadline: Instant,
    given_up: Arc<AtomicBool>,
}

impl Patience {
    /// Until then.
    #[must_use]
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, given_up: Arc::default() }
    }

    /// Nobody waits any more.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Whether somebody still waits.
    ///
    /// # Errors
    /// Nobody does: [`io::ErrorKind::TimedOut`].
    pub fn check(&self) -> io::Result<()> {
        if self.given_up.load(Ordering::Relaxed) || Instant::now() >= self.deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the time allowed is over"));
        }
        Ok(())
    }

    /// The same reader or writer, as long as somebody waits.
    pub fn over<T>(&self, stream: T) -> Patient<T> {
        Patient { stream, patience: self.clone() }
    }
}

/// A stream that ends when nobody waits for it.
#[derive(Debug)]
pub struct Patient<T> {
    stream: T,
    patience: Patience,
}

impl<T: Read> Read for Patient<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.patience.check()?;
        self.stream.read(buffer)
    }
}

impl<T: Write> Write for Patient<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patience.check()?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_ends_in_time_or_when_given_up() {
        let kind = |result: io::Result<u64>| result.map_err(|error| error.kind());
        let long = Patience::until(Instant::now() + Duration::from_secs(600));
        let copy = |patience: &Patience| kind(io::copy(&mut patience.over(&b"text"[..]), &mut io::sink()));
        assert_eq!(copy(&long), Ok(4));
        assert_eq!(copy(&Patience::until(Instant::now())), Err(io::ErrorKind::TimedOut));
        let other = long.clone();
        other.give_up();
        assert_eq!(copy(&long), Err(io::ErrorKind::TimedOut));
        assert!(long.over(io::sink()).write(b"x").is_err());
    }
}
