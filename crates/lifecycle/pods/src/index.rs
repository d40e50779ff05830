//! Which sandboxes and containers there are, by id and by name.
//!
//! Nothing in here waits: every critical section is a few map operations, so lists and look-ups never wait for a
//! writer, a disk or a runtime. Callers write ids as they like; a prefix counts when it is unique.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use crate::container::Container;
use crate::sandbox::Sandbox;
use crate::{Outcome, PodError};

/// All sandboxes and containers.
#[derive(Debug, Default)]
pub(crate) struct Index {
    tables: RwLock<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    sandboxes: BTreeMap<String, Arc<Sandbox>>,
    containers: BTreeMap<String, Arc<Container>>,
    sandbox_names: HashMap<String, Arc<Sandbox>>,
    container_names: HashMap<String, Arc<Container>>,
}

/// What a look-up found.
enum Found<T> {
    One(T),
    None,
    Several,
}

impl Index {
    pub(crate) fn insert_sandbox(&self, sandbox: &Arc<Sandbox>) {
        let mut tables = self.write();
        tables.sandboxes.insert(sandbox.id().as_str().to_owned(), Arc::clone(sandbox));
        tables.sandbox_names.insert(sandbox.name().to_owned(), Arc::clone(sandbox));
    }

    pub(crate) fn remove_sandbox(&self, sandbox: &Sandbox) {
        let mut tables = self.write();
        tables.sandboxes.remove(sandbox.id().as_str());
        // Removed twice, the name may be another's by now.
        if tables.sandbox_names.get(sandbox.name()).is_some_and(|named| named.id() == sandbox.id()) {
            tables.sandbox_names.remove(sandbox.name());
        }
    }

    pub(crate) fn insert_container(&self, container: &Arc<Container>) {
        let mut tables = self.write();
        tables.containers.insert(container.id().as_str().to_owned(), Arc::clone(container));
        tables.container_names.insert(container.name().to_owned(), Arc::clone(container));
    }

    pub(crate) fn remove_container(&self, container: &Container) {
        let mut tables = self.write();
        tables.containers.remove(container.id().as_str());
        if tables.container_names.get(container.name()).is_some_and(|named| named.id() == container.id()) {
            tables.container_names.remove(container.name());
        }
    }

    pub(crate) fn sandbox_named(&self, name: &str) -> Option<Arc<Sandbox>> {
        self.read().sandbox_names.get(name).cloned()
    }

    pub(crate) fn container_named(&self, name: &str) -> Option<Arc<Container>> {
        self.read().container_names.get(name).cloned()
    }

    /// The sandbox with this id or unique prefix; `None` when there is none.
    pub(crate) fn find_sandbox(&self, id: &str) -> Result<Option<Arc<Sandbox>>, PodError> {
        one("pod sandbox", id, find(&self.read().sandboxes, id))
    }

    /// The container with this id or unique prefix; `None` when there is none.
    pub(crate) fn find_container(&self, id: &str) -> Result<Option<Arc<Container>>, PodError> {
        one("container", id, find(&self.read().containers, id))
    }

    pub(crate) fn sandbox(&self, id: &str) -> Outcome<Arc<Sandbox>> {
        self.find_sandbox(id)?.ok_or_else(|| Arc::new(PodError::SandboxNotFound { id: id.to_owned() }))
    }

    pub(crate) fn container(&self, id: &str) -> Outcome<Arc<Container>> {
        self.find_container(id)?.ok_or_else(|| Arc::new(PodError::ContainerNotFound { id: id.to_owned() }))
    }

    pub(crate) fn sandboxes(&self) -> Vec<Arc<Sandbox>> {
        self.read().sandboxes.values().cloned().collect()
    }

    pub(crate) fn containers(&self) -> Vec<Arc<Container>> {
        self.read().containers.values().cloned().collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find<T: Clone>(table: &BTreeMap<String, T>, id: &str) -> Found<T> {
    let mut hits =
        table.range::<str, _>((Bound::Included(id), Bound::Unbounded)).take_while(|(key, _)| key.starts_with(id));
    match (hits.next(), hits.next()) {
        (None, _) => Found::None,
        (Some((_, only)), None) => Found::One(only.clone()),
        (Some((key, exact)), Some(_)) if key == id => Found::One(exact.clone()),
        _ => Found::Several,
    }
}

fn one<T>(what: &'static str, id: &str, found: Found<T>) -> Result<Option<T>, PodError> {
    let bad = |reason| Err(PodError::BadId { what, id: id.to_owned(), reason });
    match found {
        _ if id.is_empty() => bad("is empty"),
        Found::Several => bad("is a prefix of several ids"),
        Found::One(hit) => Ok(Some(hit)),
        Found::None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_whole_or_by_a_unique_prefix() {
        let table: BTreeMap<String, u8> =
            [("abc1", 1), ("abc2", 2), ("b", 3), ("bc", 4)].map(|(k, v)| (k.to_owned(), v)).into();
        let cases = [
            ("abc1", Ok(Some(1))),
            ("abc", Err(())),
            ("b", Ok(Some(3))),
            ("bc", Ok(Some(4))),
            ("zz", Ok(None)),
            ("0f0e4a-uuid-with-dashes", Ok(None)),
            ("", Err(())),
        ];
        for (id, expected) in cases {
            assert_eq!(one("container", id, find(&table, id)).map_err(|_| ()), expected, "{id:?}");
        }
    }
}
