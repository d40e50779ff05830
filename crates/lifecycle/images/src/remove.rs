//! Removing images: names first, then the image, never under somebody who uses it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crio_image::{Reference, Registries};
use crio_storage::{Store, StoreError};
use crio_types::ImageId;

use crate::error::RemoveError;
use crate::snapshot::{By, Entry, Found, Snapshot};

/// Who has which image mounted, besides containers that run from it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holds(Arc<Mutex<BTreeMap<ImageId, Vec<String>>>>);

impl Holds {
    pub(crate) fn add(&self, id: &ImageId, holder: &str) -> ImageHold {
        let mut holds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holds.entry(id.clone()).or_default().push(holder.to_owned());
        ImageHold { holds: self.clone(), id: id.clone(), holder: holder.to_owned() }
    }

    fn first(&self, id: &ImageId) -> Option<String> {
        let holds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holds.get(id).and_then(|holders| holders.first().cloned())
    }

    fn remove(&self, id: &ImageId, holder: &str) {
        let mut holds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(holders) = holds.get_mut(id) else { return };
        if let Some(position) = holders.iter().position(|other| other == holder) {
            holders.swap_remove(position);
        }
        if holders.is_empty() {
            holds.remove(id);
        }
    }
}

/// Keeps an image from being removed while something has it mounted.
#[derive(Debug)]
pub struct ImageHold {
    holds: Holds,
    id: ImageId,
    holder: String,
}

impl ImageHold {
    /// The image that is held.
    #[must_use]
    pub fn id(&self) -> &ImageId {
        &self.id
    }
}

impl Drop for ImageHold {
    fn drop(&mut self) {
        self.holds.remove(&self.id, &self.holder);
    }
}

/// Removes what `text` names in `snapshot`. Blocks on the disk; the caller lets one removal run at a time.
pub(crate) fn remove(
    store: &Store,
    holds: &Holds,
    snapshot: &Snapshot,
    registries: &Registries,
    text: &str,
) -> Result<(), RemoveError> {
    let Some(found) = snapshot.find(text, registries) else {
        return Ok(());
    };
    let failed = |source| RemoveError::Store { image: found.entry.record.id.clone(), source };
    let doomed = doomed_names(&found);
    if doomed.len() < found.entry.record.names.len() {
        return gone_is_fine(store.remove_image_names(&found.entry.record.id, &doomed)).map_err(failed);
    }
    refuse_if_used(store, holds, found.entry, text)?;
    match gone_is_fine(store.delete_image(&found.entry.record.id)) {
        // A container came between the look and the deletion.
        Err(StoreError::ImageInUse { containers, .. }) => {
            Err(RemoveError::InUse { image: text.to_owned(), user: format!("container {}", containers[0]) })
        }
        other => other.map_err(failed),
    }
}

/// The names that go: all for an id; the name itself; for a digest that is no name of its own, every name of its
/// repository, because all of them lead to that digest.
fn doomed_names(found: &Found<'_>) -> Vec<String> {
    let names = &found.entry.record.names;
    let By::Name(reference) = &found.by else {
        return names.clone();
    };
    let name = reference.to_string();
    if names.contains(&name) {
        return vec![name];
    }
    let repository = reference.repository();
    let is_of_repository = |name: &&String| Reference::parse(name).is_ok_and(|other| other.repository() == repository);
    names.iter().filter(is_of_repository).cloned().collect()
}

fn refuse_if_used(store: &Store, holds: &Holds, entry: &Entry, text: &str) -> Result<(), RemoveError> {
    let id = &entry.record.id;
    let containers = store.containers().map_err(|source| RemoveError::Store { image: id.clone(), source })?;
    let container = containers.iter().find(|container| container.image.as_ref() == Some(id));
    let user = container
        .map(|container| match container.names.first() {
            Some(name) => format!("container {} ({name})", container.id),
            None => format!("container {}", container.id),
        })
        .or_else(|| holds.first(id));
    match user {
        Some(user) => Err(RemoveError::InUse { image: text.to_owned(), user }),
        None => Ok(()),
    }
}

fn gone_is_fine(result: Result<(), StoreError>) -> Result<(), StoreError> {
    match result {
        Err(StoreError::ImageUnknown(_)) => Ok(()),
        other => other,
    }
}
