//! How many counter files may stay open at once.
//!
//! Whoever keeps files open holds a [`Claim`]. Without one they are opened for each reading and closed again, which costs time
//! and no descriptors. Nothing is evicted: readings go round all groups, so the one to go would be the next to be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of open files, and its limit.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    open: Arc<AtomicUsize>,
    limit: usize,
}

/// The right to keep some files open.
#[derive(Debug)]
pub(crate) struct Claim {
    open: Arc<AtomicUsize>,
    files: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { open: Arc::default(), limit }
    }

    /// The right to keep `files` open; `None` when that would be too many.
    pub(crate) fn claim(&self, files: usize) -> Option<Claim> {
        let within = |open: usize| open.checked_add(files).filter(|open| *open <= self.limit);
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).ok()?;
        Some(Claim { open: Arc::clone(&self.open), files })
    }

    #[cfg(test)]
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.open.fetch_sub(self.files, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_end_at_the_limit_and_come_back() {
        let budget = Budget::new(10);
        let first = budget.claim(6).expect("below the limit");
        assert!(budget.claim(5).is_none());
        let second = budget.claim(4).expect("just the limit");
        assert_eq!(budget.open(), 10);
        drop((first, second));
        assert_eq!(budget.open(), 0);
        assert!(budget.claim(usize::MAX).is_none());
    }
}
