//! One staging per layer, whoever needs it.
//!
//! Pulls that need the same layer on the same chain at the same time meet in a slot: the first stages it, the others
//! wait and take over if that pull fails or is cancelled. Whoever comes first to committing commits what is staged
//! for all. Waiting depends on nothing but the download itself, so pulls cannot wait for each other in a circle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OnceCell;

use super::sink::LayerInfo;
use crate::digest::Digest;

/// A layer that is being staged, is staged, or was committed.
#[derive(Debug)]
pub(super) struct Slot<T: Send + 'static> {
    content: OnceCell<Mutex<Option<(T, LayerInfo)>>>,
}

impl<T: Send + 'static> Slot<T> {
    /// Makes sure the layer is staged, by running `stage` unless another pull does so or did.
    pub(super) async fn fill<E>(&self, stage: impl Future<Output = Result<(T, LayerInfo), E>>) -> Result<(), E> {
        self.content.get_or_try_init(|| async { stage.await.map(|staged| Mutex::new(Some(staged))) }).await.map(|_| ())
    }

    /// Runs `commit` on what is staged, once for all pulls; the others wait for it and find it done.
    pub(super) fn commit<E>(&self, commit: impl FnOnce(T, LayerInfo) -> Result<(), E>) -> Result<Committed, E> {
        let Some(content) = self.content.get() else {
            return Ok(Committed::Elsewhere);
        };
        let mut content = content.lock().unwrap_or_else(PoisonError::into_inner);
        match content.take() {
            Some((staged, info)) => commit(staged, info).map(|()| Committed::Here),
            None => Ok(Committed::Elsewhere),
        }
    }
}

impl<T: Send + 'static> Drop for Slot<T> {
    fn drop(&mut self) {
        let Some(content) = self.content.take() else { return };
        let unused = content.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Removing an unpacked layer takes as long as removing its files does, and a cancelled pull is dropped on a
        // thread that must not block.
        if let (Some(unused), Ok(runtime)) = (unused, tokio::runtime::Handle::try_current()) {
            drop(runtime.spawn_blocking(move || drop(unused)));
        }
    }
}

/// Who committed a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Committed {
    /// This pull.
    Here,
    /// Another one, or it failed there.
    Elsewhere,
}

/// The slots in use, by chain id.
#[derive(Debug)]
pub(super) struct Slots<T: Send + 'static>(Mutex<HashMap<Digest, Weak<Slot<T>>>>);

impl<T: Send + 'static> Default for Slots<T> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<T: Send + 'static> Slots<T> {
    /// The slot of a chain. It lives as long as a pull holds it.
    pub(super) fn get(&self, chain_id: &Digest) -> Arc<Slot<T>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(chain_id).and_then(Weak::upgrade) {
            return slot;
        }
        // Slots nobody holds any more are swept when a new one is made, so the table never outgrows what is in use.
        slots.retain(|_, slot| slot.strong_count() > 0);
        let slot = Arc::new(Slot { content: OnceCell::new() });
        slots.insert(*chain_id, Arc::downgrade(&slot));
        slot
    }
}
