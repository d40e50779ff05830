//! The one lock of a connection, between its driver and its sessions.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use crate::core::Core;
use crate::limits::Limits;

/// The state, shared.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Core>>);

impl Shared {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(Core::new(limits))))
    }

    /// Takes one step. Wakes are given after the lock is released: a woken task may want it at once, or drop a handle.
    pub(crate) fn with<T>(&self, step: impl FnOnce(&mut Core) -> T) -> T {
        // A step that panicked has left numbers and buffers that can be used, if not trusted; the others must be able to end.
        let mut core = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = step(&mut core);
        let wakes = core.take_wakes();
        drop(core);
        wakes.into_iter().for_each(Waker::wake);
        result
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}
