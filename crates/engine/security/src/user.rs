//! Who a container runs as, from the request, the image and the image's own `/etc/passwd` and `/etc/group`.
//!
//! The order is CRI-O's: the request's user name, the request's uid, the image's user. Text that is all digits is a
//! number and never a name (CVE-2016-3697); an id is at most 2³¹ − 1 (CVE-2024-40635); whatever cannot be resolved is
//! refused, never root by accident. The process's groups always hold its primary group (CVE-2022-2995).
//!
//! A uid or gid the image does not know gets a line in a *replacement* file that the caller mounts over the image's;
//! the image itself is never written to. The home directory in that line comes from the environment and cannot carry
//! a line break or a colon (CVE-2022-4318, CVE-2026-15809).

use std::path::Path;

use crio_types::{Classified, ContainerSecurity, ErrorKind, SupplementalGroupsPolicy};

mod database;

use database::{Database, Entry};
pub use database::{DatabaseError, MAX_FILE_BYTES, MAX_LINE_BYTES};

/// The largest uid or gid.
pub const MAX_ID: u32 = i32::MAX as u32;
/// The most groups a process may have (the kernel's `NGROUPS_MAX`).
pub const MAX_GROUPS: usize = 65_536;

/// What [`resolve`] needs to know.
#[derive(Debug, Clone, Copy)]
pub struct UserRequest<'a> {
    /// The request's security settings.
    pub security: &'a ContainerSecurity,
    /// `User` of the image's configuration; empty for none.
    pub image_user: &'a str,
    /// Home directory for a line that must be made up: `HOME` of the environment, else the working directory.
    pub home: &'a str,
}

/// Who a container runs as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResolvedUser {
    /// Uid.
    pub uid: u32,
    /// Gid.
    pub gid: u32,
    /// All groups, the primary one first, without repetition.
    pub groups: Vec<u32>,
    /// A replacement for the image's `/etc/passwd` that knows the uid; `None` when the image's will do.
    pub passwd: Option<SynthesisedFile>,
    /// A replacement for the image's `/etc/group` that knows the gid; `None` when the image's will do.
    pub group: Option<SynthesisedFile>,
}

/// A file to be written and mounted over one of the image's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynthesisedFile {
    /// Its whole content.
    pub content: Vec<u8>,
    /// Permission bits of the image's file.
    pub mode: u32,
    /// Owner of the image's file.
    pub uid: u32,
    /// Group of the image's file.
    pub gid: u32,
}

/// Why a user cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// A group without a user.
    #[error("runAsGroup is specified without runAsUser or runAsUsername")]
    GroupWithoutUser,
    /// An id beyond 2³¹ − 1, or negative.
    #[error("{what} {value} is not between 0 and {MAX_ID}")]
    IdOutOfRange {
        /// What the id is for.
        what: &'static str,
        /// As it was given.
        value: String,
    },
    /// No such name in the image.
    #[error("unable to find user {name}: no matching entry in the image's passwd file")]
    UnknownUser {
        /// The name.
        name: String,
    },
    /// No such name in the image.
    #[error("unable to find group {name}: no matching entry in the image's group file")]
    UnknownGroup {
        /// The name.
        name: String,
    },
    /// The environment's home directory would break a line of `/etc/passwd`.
    #[error("invalid HOME environment: control characters are not allowed")]
    Home,
    /// More groups than a process can have.
    #[error("the user is in more than {MAX_GROUPS} groups")]
    TooManyGroups,
    /// The image's files cannot be used.
    #[error("cannot look up users in the image")]
    Database(#[source] DatabaseError),
}

impl Classified for UserError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Database(error) => error.kind(),
            _ => ErrorKind::InvalidArgument,
        }
    }
}

/// Who a container with the root file system at `rootfs` runs as. Blocking: reads two small files.
///
/// # Errors
/// See [`UserError`].
pub fn resolve(rootfs: &Path, request: &UserRequest<'_>) -> Result<ResolvedUser, UserError> {
    let security = request.security;
    if security.run_as_group.is_some() && security.run_as_user.is_none() && security.run_as_username.is_empty() {
        return Err(UserError::GroupWithoutUser);
    }
    if request.home.contains(|c: char| c.is_control()) {
        return Err(UserError::Home);
    }
    let database = Database::read(rootfs).map_err(UserError::Database)?;
    let wanted = Wanted::of(request)?;
    let found = find(&database, &wanted)?;
    let gid = match security.run_as_group {
        Some(gid) => id("runAsGroup", gid)?,
        None => found.gid,
    };
    let groups = groups(gid, &found, security)?;
    let name = found.name.clone().unwrap_or_else(|| found.uid.to_string());
    Ok(ResolvedUser {
        uid: found.uid,
        gid,
        passwd: database.passwd_with(found.uid, gid, &groups, &name, home(request.home)),
        group: database.group_with(found.uid, gid, &groups),
        groups,
    })
}

/// A user string taken apart: `user`, `user:group`, both a name or a number.
struct Wanted<'a> {
    user: Option<Named<'a>>,
    group: Option<Named<'a>>,
}

enum Named<'a> {
    Id(u32),
    Name(&'a str),
}

impl<'a> Wanted<'a> {
    fn of(request: &UserRequest<'a>) -> Result<Self, UserError> {
        let security = request.security;
        if security.run_as_username.is_empty() {
            if let Some(uid) = security.run_as_user {
                return Ok(Self { user: Some(Named::Id(id("runAsUser", uid)?)), group: None });
            }
            Self::parse(request.image_user)
        } else {
            Self::parse(&security.run_as_username)
        }
    }

    fn parse(text: &'a str) -> Result<Self, UserError> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Named::parse("group", group)?),
            None => (text, None),
        };
        Ok(Self { user: Named::parse("user", user)?, group })
    }
}

impl<'a> Named<'a> {
    fn parse(what: &'static str, text: &'a str) -> Result<Option<Self>, UserError> {
        if text.is_empty() {
            return Ok(None);
        }
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Some(Self::Name(text)));
        }
        match text.parse::<u32>() {
            Ok(id) if id <= MAX_ID => Ok(Some(Self::Id(id))),
            _ => Err(UserError::IdOutOfRange { what, value: text.to_owned() }),
        }
    }
}

/// What the image's files say about the wanted user.
struct Found {
    uid: u32,
    gid: u32,
    name: Option<String>,
    further_groups: Vec<u32>,
}

fn find(database: &Database, wanted: &Wanted<'_>) -> Result<Found, UserError> {
    let entry: Option<Entry> = match &wanted.user {
        None => database.user_by_id(0),
        Some(Named::Id(uid)) => database.user_by_id(*uid),
        Some(Named::Name(name)) => {
            Some(database.user_by_name(name).ok_or_else(|| UserError::UnknownUser { name: (*name).to_owned() })?)
        }
    };
    let uid = match (&entry, &wanted.user) {
        (Some(entry), _) => checked("user", entry.id)?,
        (None, Some(Named::Id(uid))) => *uid,
        (None, _) => 0,
    };
    let name = entry.as_ref().map(|entry| entry.name.clone());
    let (gid, further_groups) = match &wanted.group {
        Some(Named::Id(gid)) => (*gid, Vec::new()),
        Some(Named::Name(group)) => {
            let gid =
                database.group_by_name(group).ok_or_else(|| UserError::UnknownGroup { name: (*group).to_owned() })?;
            (checked("group", gid)?, Vec::new())
        }
        None => {
            let further = name.as_deref().map(|name| database.groups_of(name)).unwrap_or_default();
            (checked("group", entry.map_or(0, |entry| entry.gid))?, further)
        }
    };
    Ok(Found { uid, gid, name, further_groups })
}

/// The process's groups: its own, then the image's (unless strict), then the request's.
fn groups(gid: u32, found: &Found, security: &ContainerSecurity) -> Result<Vec<u32>, UserError> {
    let mut groups = vec![gid];
    if security.supplemental_groups_policy == SupplementalGroupsPolicy::Merge {
        for gid in &found.further_groups {
            groups.push(checked("group", *gid)?);
        }
    }
    for gid in &security.supplemental_groups {
        groups.push(id("supplemental group", *gid)?);
    }
    let mut seen = std::collections::HashSet::new();
    groups.retain(|gid| seen.insert(*gid));
    if groups.len() > MAX_GROUPS {
        return Err(UserError::TooManyGroups);
    }
    Ok(groups)
}

/// A colon would end the field, so a home directory with one is replaced by the root.
fn home(given: &str) -> &str {
    if given.is_empty() {
        "/tmp"
    } else if given.contains(':') {
        "/"
    } else {
        given
    }
}

fn id(what: &'static str, value: i64) -> Result<u32, UserError> {
    match u32::try_from(value) {
        Ok(id) if id <= MAX_ID => Ok(id),
        _ => Err(UserError::IdOutOfRange { what, value: value.to_string() }),
    }
}

/// An id from the image's own files.
fn checked(what: &'static str, value: u32) -> Result<u32, UserError> {
    id(what, i64::from(value))
}

#[cfg(test)]
mod tests;
