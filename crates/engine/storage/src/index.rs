//! A table of the store: JSON arrays on disk, shared with other programs through one lock file.
//!
//! The lock file holds a token of up to 64 bytes that every writer changes *before* it writes, so a reader that finds
//! the token it knows has the newest rows without taking the lock. Readers get immutable snapshots. Writers take the
//! lock alone, start from the newest rows, and replace whole files by renaming; a table may consist of a durable and a
//! volatile file, and only the former is synced.
//!
//! Rows keep the text they were read from, so fields we do not know survive, and rows nobody touched are written back
//! byte for byte. A row that makes no sense to us is kept but not shown.

mod file;
mod lock;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::TableError;

pub(crate) use file::{Durability, write_durably};
pub(crate) use lock::{Guard, LockFile, Token};

/// A row's JSON object.
pub(crate) type Object = Map<String, Value>;

/// A row type.
pub(crate) trait Row: Sized {
    /// The row in this object, if it makes sense.
    fn from_object(object: &Object) -> Option<Self>;
    /// Its key in the table.
    fn key(&self) -> &str;
}

/// One file of a table.
#[derive(Debug)]
pub(crate) struct TableFile {
    pub(crate) path: PathBuf,
    pub(crate) durability: Durability,
}

/// A table.
#[derive(Debug)]
pub(crate) struct Table<R> {
    lock: LockFile,
    files: Vec<TableFile>,
    snapshot: ArcSwapOption<Snapshot<R>>,
    /// The token of our own write while it is under way: readers go on with the rows from before it.
    pending: ArcSwapOption<Token>,
    /// Writers of this process wait here, so that they do not wait in the kernel for one another.
    writing: Mutex<()>,
}

/// The rows as of one token.
#[derive(Debug)]
pub(crate) struct Snapshot<R> {
    token: Token,
    stored: Vec<Stored<R>>,
    /// The rows that make sense, in file order.
    pub(crate) rows: Arc<[Arc<R>]>,
    by_key: HashMap<Box<str>, usize>,
}

/// A row as stored.
#[derive(Debug)]
pub(crate) struct Stored<R> {
    text: Arc<RawValue>,
    row: Option<Arc<R>>,
    file: usize,
}

impl<R> Clone for Stored<R> {
    fn clone(&self) -> Self {
        Self { text: Arc::clone(&self.text), row: self.row.clone(), file: self.file }
    }
}

impl<R: Row> Snapshot<R> {
    /// The row with this key.
    pub(crate) fn get(&self, key: &str) -> Option<&Arc<R>> {
        self.by_key.get(key).map(|index| &self.rows[*index])
    }

    fn new(token: Token, stored: Vec<Stored<R>>) -> Self {
        let rows: Arc<[Arc<R>]> = stored.iter().filter_map(|stored| stored.row.clone()).collect();
        let by_key = rows.iter().enumerate().map(|(index, row)| (row.key().into(), index)).collect();
        Self { token, stored, rows, by_key }
    }
}

impl<R: Row> Table<R> {
    pub(crate) fn new(lock: PathBuf, timeout: Duration, files: Vec<TableFile>) -> Self {
        let lock = LockFile::new(lock, timeout);
        Self { lock, files, snapshot: ArcSwapOption::empty(), pending: ArcSwapOption::empty(), writing: Mutex::new(()) }
    }

    /// The newest rows.
    pub(crate) fn read(&self) -> Result<Arc<Snapshot<R>>, TableError> {
        if let Some(known) = self.snapshot.load_full() {
            let token = self.lock.token()?;
            if token == known.token || self.pending.load().as_deref() == Some(&token) {
                return Ok(known);
            }
        }
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = self.lock.shared()?;
        self.refresh(&guard)
    }

    /// Changes the table: `change` sees the newest rows, and what it did is written when it succeeds.
    pub(crate) fn write<T, E: From<TableError>>(
        &self,
        change: impl FnOnce(&mut Edit<R>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.write_then(change, Ok)
    }

    /// As [`Table::write`], and when the change is on disk, does `then` before the lock is let go.
    pub(crate) fn write_then<T, U, E: From<TableError>>(
        &self,
        change: impl FnOnce(&mut Edit<R>) -> Result<T, E>,
        then: impl FnOnce(T) -> Result<U, E>,
    ) -> Result<U, E> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = self.lock.exclusive()?;
        let before = self.refresh(&guard)?;
        let mut edit = Edit { stored: before.stored.clone(), dirty: vec![false; self.files.len()] };
        let result = change(&mut edit)?;
        if edit.dirty.contains(&true) {
            self.save(&guard, edit)?;
        }
        then(result)
    }

    fn refresh(&self, guard: &Guard) -> Result<Arc<Snapshot<R>>, TableError> {
        let token = guard.token()?;
        if let Some(known) = self.snapshot.load_full()
            && known.token == token
        {
            return Ok(known);
        }
        let mut stored: Vec<Stored<R>> = Vec::new();
        for (index, file) in self.files.iter().enumerate() {
            for text in file::read_rows(file)? {
                let row = serde_json::from_str::<Object>(text.get()).ok().and_then(|object| R::from_object(&object));
                stored.push(Stored { text: text.into(), row: row.map(Arc::new), file: index });
            }
        }
        let fresh = Arc::new(Snapshot::new(token, stored));
        self.snapshot.store(Some(Arc::clone(&fresh)));
        Ok(fresh)
    }

    fn save(&self, guard: &Guard, edit: Edit<R>) -> Result<(), TableError> {
        let token = guard.fresh_token()?;
        self.pending.store(Some(Arc::new(token.clone())));
        let outcome = self.save_as(guard, token, edit);
        self.pending.store(None);
        outcome
    }

    fn save_as(&self, guard: &Guard, token: Token, edit: Edit<R>) -> Result<(), TableError> {
        // Before the files, so that a crash in between only makes others read again.
        guard.record_write(&token)?;
        for (index, file) in self.files.iter().enumerate().filter(|(index, _)| edit.dirty[*index]) {
            let rows = edit.stored.iter().filter(|stored| stored.file == index).map(|stored| &*stored.text);
            file::write_rows(file, rows)?;
        }
        self.snapshot.store(Some(Arc::new(Snapshot::new(token, edit.stored))));
        Ok(())
    }
}

/// A change in the making.
pub(crate) struct Edit<R> {
    stored: Vec<Stored<R>>,
    dirty: Vec<bool>,
}

impl<R: Row> Edit<R> {
    /// The rows that make sense.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Arc<R>> {
        self.stored.iter().filter_map(|stored| stored.row.as_ref())
    }

    /// The row with this key.
    pub(crate) fn get(&self, key: &str) -> Option<&Arc<R>> {
        self.rows().find(|row| row.key() == key)
    }

    /// Adds a row to a file of the table.
    pub(crate) fn add(&mut self, file: usize, object: &Object) -> Option<Arc<R>> {
        let row = Arc::new(R::from_object(object)?);
        self.stored.push(Stored { text: to_text(object), row: Some(Arc::clone(&row)), file });
        self.dirty[file] = true;
        Some(row)
    }

    /// Changes the object of a row. Returns the row as it is then.
    pub(crate) fn update(&mut self, key: &str, change: impl FnOnce(&mut Object)) -> Option<Arc<R>> {
        let stored = self.stored.iter_mut().find(|stored| stored.row.as_ref().is_some_and(|row| row.key() == key))?;
        let mut object: Object = serde_json::from_str(stored.text.get()).ok()?;
        change(&mut object);
        let row = Arc::new(R::from_object(&object)?);
        stored.text = to_text(&object);
        stored.row = Some(Arc::clone(&row));
        self.dirty[stored.file] = true;
        Some(row)
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Arc<R>> {
        let index = self.stored.iter().position(|stored| stored.row.as_ref().is_some_and(|row| row.key() == key))?;
        let stored = self.stored.remove(index);
        self.dirty[stored.file] = true;
        stored.row
    }

    /// The rows of one file of the table that make sense.
    pub(crate) fn rows_of(&self, file: usize) -> impl Iterator<Item = &Arc<R>> {
        self.stored.iter().filter(move |stored| stored.file == file).filter_map(|stored| stored.row.as_ref())
    }

    /// Whether every row makes sense. What hangs on a row that does not must be left alone.
    pub(crate) fn is_understood(&self) -> bool {
        self.stored.iter().all(|stored| stored.row.is_some())
    }
}

fn to_text(object: &Object) -> Arc<RawValue> {
    serde_json::value::to_raw_value(object).expect("a map of JSON values has a text").into()
}

#[cfg(test)]
mod tests;
