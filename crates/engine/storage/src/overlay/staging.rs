//! Private directories under `overlay/staging`: layers in the making, and layers on their way out.
//!
//! Each has a `staging.lock` that its owner keeps locked, as containers/storage does, so that a directory whose lock is
//! free belongs to a dead process and is removed.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crio_sys::confined::remove_tree;
use crio_sys::lock::{LockMode, try_lock};

use super::{create_private, missing_is_fine};
use crate::error::StoreError;

const LOCK_NAME: &str = "staging.lock";

/// A directory without a lock file may be in the making for this long.
const UNLOCKED_GRACE: Duration = Duration::from_secs(60);

/// A directory of this process. Dropping it removes it with all it holds.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
    name: String,
    /// Locked as long as it is open.
    _lock: File,
}

impl Staging {
    /// A fresh directory below the driver's home.
    pub(crate) fn create(home: &Path) -> Result<Self, StoreError> {
        let parent = home.join("staging");
        create_private(&parent)?;
        let random = crio_sys::random::bytes32().map_err(|source| StoreError::file("naming", &parent, source))?;
        let name = hex::encode(&random[..12]);
        let path = parent.join(&name);
        create_private(&path)?;
        let lock_path = path.join(LOCK_NAME);
        let lock = File::options().read(true).write(true).create_new(true).open(&lock_path);
        let lock = lock.and_then(|lock| {
            if try_lock(&lock, LockMode::Exclusive)? { Ok(lock) } else { Err(io::ErrorKind::WouldBlock.into()) }
        });
        let lock = lock.map_err(|source| StoreError::file("locking", lock_path, source))?;
        Ok(Self { path, name, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its name, random.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Removes it, saying why it cannot.
    pub(crate) fn remove(&self) -> Result<(), StoreError> {
        remove_tree(&self.path).map_err(|source| StoreError::file("removing", &self.path, source))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Whoever cared called `remove`; the start of the next process tries again.
        let _ = self.remove();
    }
}

/// Where things go that are to be removed once no lock is held. The directory is made when the first of them comes.
#[derive(Debug)]
pub(crate) struct Trash {
    home: PathBuf,
    staging: RefCell<Option<Staging>>,
    count: Cell<u64>,
}

impl Trash {
    pub(crate) fn new(home: &Path) -> Self {
        Self { home: home.to_owned(), staging: RefCell::new(None), count: Cell::new(0) }
    }

    /// Moves a directory of the driver in. A missing one is fine.
    pub(crate) fn take(&self, path: &Path) -> Result<(), StoreError> {
        let fail = |source| StoreError::file("moving away", path, source);
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            outcome => outcome.map_err(fail)?,
        };
        let mut staging = self.staging.borrow_mut();
        if staging.is_none() {
            *staging = Staging::create(&self.home).ok();
        }
        // Without room for a directory the thing is removed where it is.
        let Some(staging) = &*staging else {
            return remove_tree(path).map_err(fail);
        };
        let name = self.count.replace(self.count.get() + 1).to_string();
        missing_is_fine(fs::rename(path, staging.path().join(name))).map_err(fail)
    }

    /// Removes everything in it.
    pub(crate) fn empty(self) -> Result<(), StoreError> {
        self.staging.into_inner().map_or(Ok(()), |staging| staging.remove())
    }
}

/// Removes the directories of dead processes. Returns the names of those that live. What cannot be removed is added to
/// `failures` and stays until the next time.
pub(crate) fn prune(home: &Path, failures: &mut Vec<StoreError>) -> Result<Vec<String>, StoreError> {
    let parent = home.join("staging");
    let fail = |source| StoreError::file("listing", &parent, source);
    let mut living = Vec::new();
    for entry in fs::read_dir(&parent).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if is_dead(&path) {
            let removed = remove_tree(&path);
            failures.extend(removed.err().map(|source| StoreError::file("removing", path, source)));
        } else {
            living.extend(path.file_name().and_then(|name| name.to_str()).map(str::to_owned));
        }
    }
    Ok(living)
}

/// Whether nobody uses the directory. One that cannot be examined counts as living.
fn is_dead(path: &Path) -> bool {
    match File::options().read(true).write(true).open(path.join(LOCK_NAME)) {
        Ok(lock) => try_lock(&lock, LockMode::Exclusive).unwrap_or(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = fs::metadata(path).and_then(|status| status.modified());
            made.is_ok_and(|made| SystemTime::now().duration_since(made).unwrap_or_default() > UNLOCKED_GRACE)
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_is_pruned() {
        let home = tempfile::tempdir().unwrap();
        let living = Staging::create(home.path()).unwrap();
        let dead = home.path().join("staging/dead");
        fs::create_dir_all(dead.join("diff")).unwrap();
        fs::write(dead.join(LOCK_NAME), "").unwrap();
        let fresh = home.path().join("staging/fresh");
        fs::create_dir(&fresh).unwrap();
        let mut failures = Vec::new();
        let mut names = prune(home.path(), &mut failures).unwrap();
        assert!(failures.is_empty());
        names.sort();
        let mut expected = vec!["fresh".to_owned(), living.name().to_owned()];
        expected.sort();
        assert_eq!(names, expected);
        assert!(!dead.exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
