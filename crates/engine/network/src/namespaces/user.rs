//! A pod's user namespace: its maps, and what they mean for the namespaces it owns.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use crio_sys::namespace::{self, IdRange, NamespaceKind};
use crio_types::IdMapping;

use super::PinError;

/// The parameter that holds two group ids: who may open ping sockets.
const PING_GROUP_RANGE: &str = "net/ipv4/ping_group_range";

/// The maps of a user namespace. Id 0 is mapped in both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserMaps {
    /// Of users.
    pub uids: Vec<IdMapping>,
    /// Of groups.
    pub gids: Vec<IdMapping>,
}

impl UserMaps {
    /// Uid and gid that the namespace's root has outside.
    #[must_use]
    pub fn root(&self) -> Option<(u32, u32)> {
        Some((outside(&self.uids, 0)?, outside(&self.gids, 0)?))
    }

    /// Whether a user inside has an id outside.
    #[must_use]
    pub fn maps_uid(&self, uid: u32) -> bool {
        outside(&self.uids, uid).is_some()
    }

    /// Whether a group inside has an id outside.
    #[must_use]
    pub fn maps_gid(&self, gid: u32) -> bool {
        outside(&self.gids, gid).is_some()
    }

    /// Makes a user namespace with these maps that owns namespaces of these kinds.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn make(&self, kinds: &[NamespaceKind]) -> Result<namespace::UserNamespace, namespace::NamespaceError> {
        namespace::make_user(&ranges(&self.uids), &ranges(&self.gids), kinds)
    }

    /// A parameter's value as whoever writes it from outside has to put it. Group ids are cut to those that are mapped.
    pub(super) fn outside_value(&self, path: &Path, value: &str) -> String {
        if path != Path::new(PING_GROUP_RANGE) {
            return value.to_owned();
        }
        let ids: Option<Vec<u32>> = value.split_whitespace().map(|word| word.parse().ok()).collect();
        let Some((first, last)) = ids.as_deref().and_then(|ids| Some((*ids.first()?, *ids.get(1)?))) else {
            return value.to_owned();
        };
        let run = self.gids.iter().find(|run| first.checked_sub(run.container_id).is_some_and(|at| at < run.length));
        match run.filter(|_| first <= last) {
            Some(run) => {
                let outside = |id: u32| run.host_id + (id - run.container_id).min(run.length - 1);
                format!("{} {}", outside(first), outside(last))
            }
            // Nobody, as the kernel writes it.
            None => "1 0".to_owned(),
        }
    }

    /// Does something as the namespace's root would.
    pub(super) fn as_root<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let (uid, gid) = self.root().ok_or(io::ErrorKind::InvalidInput)?;
        namespace::as_effective(uid, gid, work)?
    }
}

/// Makes a user namespace and those it owns, pins it at `path`, then runs `setup` inside the others. A failure leaves no
/// pin, as long as one of `setup` leaves none.
pub(super) fn pin_with(
    maps: &UserMaps,
    path: &Path,
    kinds: &[NamespaceKind],
    setup: impl FnOnce() -> Result<(), PinError> + Send,
) -> Result<(), PinError> {
    let failed = |source| PinError::Namespace { source };
    let made = maps.make(kinds).map_err(failed)?;
    namespace::pin(made.user.as_fd(), path).map_err(failed)?;
    let set_up = namespace::run_in_all(&made.owned, setup).map_err(failed).flatten();
    if set_up.is_err() {
        // The failure inside is the one to report; the caller's own unpin will meet this pin again.
        let _ = namespace::unpin(path);
    }
    set_up
}

fn outside(map: &[IdMapping], inside: u32) -> Option<u32> {
    map.iter().find_map(|run| {
        let at = inside.checked_sub(run.container_id).filter(|at| *at < run.length)?;
        run.host_id.checked_add(at)
    })
}

fn ranges(map: &[IdMapping]) -> Vec<IdRange> {
    let range = |run: &IdMapping| IdRange { inside: run.container_id, outside: run.host_id, length: run.length };
    map.iter().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps(length: u32) -> UserMaps {
        let map = vec![IdMapping { host_id: 100_000, container_id: 0, length }];
        UserMaps { uids: map.clone(), gids: map }
    }

    #[test]
    fn the_root_is_the_first_id_outside() {
        assert_eq!(maps(10).root(), Some((100_000, 100_000)));
        assert_eq!(maps(0).root(), None);
    }

    #[test]
    fn groups_that_may_ping_are_those_of_the_pod() {
        let cases = [
            ("0 2147483647", "100000 165535"),
            ("0 0", "100000 100000"),
            ("5\t9", "100005 100009"),
            ("65536 70000", "1 0"),
            ("1 0", "1 0"),
            ("all", "all"),
            ("7", "7"),
        ];
        for (value, expected) in cases {
            assert_eq!(maps(65536).outside_value(Path::new(PING_GROUP_RANGE), value), expected, "{value:?}");
        }
        assert_eq!(maps(65536).outside_value(Path::new("net/ipv4/ip_forward"), "0 1"), "0 1");
    }
}
