//! All images at one moment, with the indexes look-ups need.
//!
//! A snapshot belongs to one state of the store's records and one configuration, and is made anew when either
//! changes. What was read from an image's documents passes on to the next snapshot, because an id fixes them.

use std::collections::HashMap;
use std::sync::Arc;

use crio_image::{Reference, Registries};
use crio_storage::{ImageRecord, Store, StoreError, Usage};
use crio_types::LayerId;

use crate::details::Details;
use crate::image::Image;
use crate::pinned::Pinned;

/// The shortest prefix of an id that is looked up.
const MIN_PREFIX: usize = 3;
const ID_DIGITS: usize = 64;

/// One image with everything known about it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) record: Arc<ImageRecord>,
    pub(crate) image: Arc<Image>,
    pub(crate) details: Arc<Details>,
}

/// All images at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    records: Arc<[Arc<ImageRecord>]>,
    pinned: Arc<Pinned>,
    entries: Vec<Entry>,
    by_id: HashMap<String, usize>,
    by_name: HashMap<String, usize>,
    pub(crate) usage: Usage,
    /// The layers of all images.
    pub(crate) layers: Vec<LayerId>,
}

impl Snapshot {
    /// The snapshot for what the store holds now; `previous` when that still is it. Blocks on the disk.
    pub(crate) fn take(
        store: &Store,
        pinned: &Arc<Pinned>,
        previous: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, StoreError> {
        let records = store.images()?;
        if let Some(previous) = previous
            && Arc::ptr_eq(&previous.records, &records)
            && Arc::ptr_eq(&previous.pinned, pinned)
        {
            return Ok(Arc::clone(previous));
        }
        let entries: Vec<Entry> = records
            .iter()
            .map(|record| {
                let known = previous.and_then(|previous| previous.details_of(record));
                let details = known.unwrap_or_else(|| Arc::new(Details::read(store, record)));
                let image = Arc::new(Image::new(record, &details, pinned));
                Entry { record: Arc::clone(record), image, details }
            })
            .collect();
        let taken = Self::index(records, Arc::clone(pinned), entries);
        Ok(Arc::new(Self { usage: store.images_usage()?, layers: store.image_layers()?, ..taken }))
    }

    fn index(records: Arc<[Arc<ImageRecord>]>, pinned: Arc<Pinned>, entries: Vec<Entry>) -> Self {
        let mut by_id = HashMap::with_capacity(entries.len());
        let mut by_name = HashMap::new();
        for (index, entry) in entries.iter().enumerate() {
            by_id.insert(entry.record.id.as_str().to_owned(), index);
            // Digest names that are only derived give way to names an image really has.
            for name in &entry.image.repo_digests {
                by_name.entry(name.clone()).or_insert(index);
            }
        }
        for (index, entry) in entries.iter().enumerate() {
            for name in &entry.record.names {
                by_name.insert(name.clone(), index);
            }
        }
        Self { records, pinned, entries, by_id, by_name, usage: Usage::default(), layers: Vec::new() }
    }

    fn details_of(&self, record: &ImageRecord) -> Option<Arc<Details>> {
        let entry = &self.entries[*self.by_id.get(record.id.as_str())?];
        let is_same = entry.record.digest == record.digest
            && entry.record.big_data == record.big_data
            && entry.record.top_layer == record.top_layer;
        is_same.then(|| Arc::clone(&entry.details))
    }

    /// All images.
    pub(crate) fn images(&self) -> Vec<Arc<Image>> {
        self.entries.iter().map(|entry| Arc::clone(&entry.image)).collect()
    }

    /// The image that `text` names: an id, a name with tag or digest, a short name, or a unique prefix of an id.
    pub(crate) fn find(&self, text: &str, registries: &Registries) -> Option<Found<'_>> {
        if let Some(entry) = self.by_exact_id(text) {
            return Some(Found { entry, by: By::Id });
        }
        for candidate in registries.local_candidates(text) {
            let name = candidate.pinned_down();
            if let Some(index) = self.by_name.get(&name.to_string()) {
                return Some(Found { entry: &self.entries[*index], by: By::Name(name) });
            }
        }
        self.by_prefix(text).map(|entry| Found { entry, by: By::Id })
    }

    fn by_exact_id(&self, text: &str) -> Option<&Entry> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        self.by_id.get(digits).map(|index| &self.entries[*index])
    }

    fn by_prefix(&self, text: &str) -> Option<&Entry> {
        let prefix = text.strip_prefix("sha256:").unwrap_or(text);
        let is_prefix = (MIN_PREFIX..ID_DIGITS).contains(&prefix.len())
            && prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_prefix {
            return None;
        }
        let mut matches = self.entries.iter().filter(|entry| entry.record.id.as_str().starts_with(prefix));
        let first = matches.next()?;
        matches.next().is_none().then_some(first)
    }
}

/// An image that was looked up.
#[derive(Debug, Clone)]
pub(crate) struct Found<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) by: By,
}

/// What an image was recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum By {
    /// Its id, or a prefix of it.
    Id,
    /// This name.
    Name(Reference),
}

#[cfg(test)]
mod tests;
