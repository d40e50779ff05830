//! The files as they are written, and how later ones are laid over earlier ones.
//!
//! A drop-in replaces whole `[[registry]]` tables by prefix, replaces the search list when it has one, and adds or
//! overrides aliases one by one; an alias set to the empty string is withdrawn. Unknown keys are passed over, as
//! containers/image does, because newer versions add some.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{AUTH_FILES, Mirror, PullFrom, Registries, RegistriesError, Registry, ShortNameMode};
use crate::reference::Reference;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    unqualified_search_registries: Option<Vec<String>>,
    #[serde(default)]
    registry: Vec<RegistryTable>,
    short_name_mode: Option<String>,
    credential_helpers: Option<Vec<String>>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    registries: Option<VersionOne>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RegistryTable {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<MirrorTable>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MirrorTable {
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<String>,
}

/// The older format: lists of hosts under `[registries.search]`, `.insecure` and `.block`.
#[derive(Debug, Deserialize)]
struct VersionOne {
    #[serde(default)]
    search: HostList,
    #[serde(default)]
    insecure: HostList,
    #[serde(default)]
    block: HostList,
}

#[derive(Debug, Default, Deserialize)]
struct HostList {
    #[serde(default)]
    registries: Vec<String>,
}

/// What the files read so far amount to.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) search: Vec<String>,
    registries: BTreeMap<String, Registry>,
    short_name_mode: ShortNameMode,
    aliases: BTreeMap<String, String>,
    recorded_aliases: BTreeMap<String, String>,
    credential_helpers: Option<Vec<String>>,
}

impl Merged {
    /// Lays one file over what is there.
    pub(super) fn add(&mut self, path: &Path, text: &str) -> Result<(), RegistriesError> {
        let file: File = toml::from_str(text)
            .map_err(|source| RegistriesError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        self.merge(file).map_err(|reason| RegistriesError::Invalid { path: path.to_owned(), reason })
    }

    /// Adds the aliases podman recorded when somebody chose one at a prompt.
    pub(super) fn add_recorded_aliases(&mut self, path: &Path, text: &str) -> Result<(), RegistriesError> {
        let file: File = toml::from_str(text)
            .map_err(|source| RegistriesError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        self.recorded_aliases = checked_aliases(file.aliases)
            .map_err(|reason| RegistriesError::Invalid { path: path.to_owned(), reason })?;
        Ok(())
    }

    fn merge(&mut self, mut file: File) -> Result<(), String> {
        if let Some(old) = file.registries.take() {
            adopt_version_one(&mut file, old)?;
        }
        if let Some(search) = file.unqualified_search_registries {
            self.search = search.iter().map(|location| checked_location(location)).collect::<Result<_, _>>()?;
        }
        if let Some(mode) = file.short_name_mode.filter(|mode| !mode.is_empty()) {
            self.short_name_mode = mode.parse()?;
        }
        if let Some(helpers) = file.credential_helpers {
            self.credential_helpers = Some(helpers);
        }
        self.aliases.extend(checked_aliases(file.aliases)?);
        let mut tables = BTreeMap::<String, Registry>::new();
        for table in &file.registry {
            let registry = checked_table(table)?;
            if let Some(same) = tables.insert(registry.prefix.clone(), registry.clone())
                && same != registry
            {
                return Err(format!("there are two different tables for the prefix {:?}", registry.prefix));
            }
        }
        self.registries.extend(tables);
        Ok(())
    }

    /// The configuration all files together make.
    pub(super) fn finish(self) -> Registries {
        let mut aliases = self.aliases;
        aliases.extend(self.recorded_aliases);
        aliases.retain(|_, name| !name.is_empty());
        Registries {
            registries: self.registries.into_values().collect(),
            search: self.search,
            short_name_mode: self.short_name_mode,
            aliases,
            credential_helpers: self.credential_helpers.unwrap_or_else(|| vec![AUTH_FILES.to_owned()]),
        }
    }
}

fn adopt_version_one(file: &mut File, old: VersionOne) -> Result<(), String> {
    if file.unqualified_search_registries.is_some() || !file.registry.is_empty() {
        return Err("it mixes the old format ([registries.search] …) with the new one".to_owned());
    }
    file.unqualified_search_registries = Some(old.search.registries);
    let mut hosts = BTreeMap::<String, (bool, bool)>::new();
    for host in old.insecure.registries {
        hosts.entry(host).or_default().0 = true;
    }
    for host in old.block.registries {
        hosts.entry(host).or_default().1 = true;
    }
    file.registry = hosts
        .into_iter()
        .map(|(location, (insecure, blocked))| RegistryTable {
            prefix: String::new(),
            location,
            insecure,
            blocked,
            mirror_by_digest_only: false,
            mirror: Vec::new(),
        })
        .collect();
    Ok(())
}

fn checked_table(table: &RegistryTable) -> Result<Registry, String> {
    let location = checked_location(&table.location)?;
    let prefix = match table.prefix.trim_end_matches('/') {
        "" if location.is_empty() => return Err("a registry has neither prefix nor location".to_owned()),
        "" => location.clone(),
        prefix => checked_prefix(prefix)?,
    };
    // Without a location a plain prefix stands for itself. A wildcard may go without: names keep their host then.
    let location = if location.is_empty() && !prefix.starts_with("*.") { prefix.clone() } else { location };
    let mut mirrors = Vec::with_capacity(table.mirror.len());
    for mirror in &table.mirror {
        mirrors.push(checked_mirror(mirror, table.mirror_by_digest_only)?);
    }
    Ok(Registry { prefix, location, insecure: table.insecure, blocked: table.blocked, mirrors })
}

fn checked_mirror(table: &MirrorTable, digest_only: bool) -> Result<Mirror, String> {
    let location = checked_location(&table.location)?;
    if location.is_empty() {
        return Err("a mirror has no location".to_owned());
    }
    let pull_from = match table.pull_from_mirror.as_deref() {
        Some(_) if digest_only => {
            return Err("mirror-by-digest-only and pull-from-mirror cannot both be set".to_owned());
        }
        None | Some("") if digest_only => PullFrom::DigestOnly,
        None | Some("" | "all") => PullFrom::All,
        Some("digest-only") => PullFrom::DigestOnly,
        Some("tag-only") => PullFrom::TagOnly,
        Some(other) => {
            return Err(format!("pull-from-mirror is all, digest-only or tag-only, not {other:?}"));
        }
    };
    Ok(Mirror { location, insecure: table.insecure, pull_from })
}

/// A host, or a host and the beginning of a path, without scheme.
fn checked_location(location: &str) -> Result<String, String> {
    let trimmed = location.trim_end_matches('/');
    if trimmed.contains("://") {
        return Err(format!("{location:?} must be a host and path without a scheme"));
    }
    if trimmed.is_empty() {
        return Ok(String::new());
    }
    // The rewritten name is parsed again at each use; trying one here shows a mistake when the file is read.
    let probe = format!("{trimmed}/x");
    match Reference::parse(&probe) {
        Ok(reference) if reference.to_string() == probe || trimmed.starts_with("docker.io") => Ok(trimmed.to_owned()),
        _ if is_host(trimmed) => Ok(trimmed.to_owned()),
        _ => Err(format!("{location:?} is not a registry or a repository prefix")),
    }
}

/// A one-word host, which a reference would take for a repository on Docker Hub.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn checked_prefix(prefix: &str) -> Result<String, String> {
    match prefix.strip_prefix("*.") {
        Some(rest) if rest.contains('*') || rest.is_empty() => {
            Err(format!("{prefix:?}: a wildcard stands only at the front, as *.example.com"))
        }
        Some(rest) => checked_location(rest).map(|rest| format!("*.{rest}")),
        None if prefix.contains('*') => {
            Err(format!("{prefix:?}: a wildcard stands only at the front, as *.example.com"))
        }
        // A prefix may go as far as a tag or digest, so it is not held to the form of a location.
        None if prefix.contains("://") => Err(format!("{prefix:?} must be a host and path without a scheme")),
        None => Ok(prefix.to_owned()),
    }
}

fn checked_aliases(aliases: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    for (short, name) in &aliases {
        if !crate::reference::is_short(short) || short.contains([':', '@']) {
            return Err(format!("alias {short:?} is not a short name without tag and digest"));
        }
        if !name.is_empty() && (crate::reference::is_short(name) || Reference::parse(name).is_err()) {
            return Err(format!("alias {short:?} stands for {name:?}, which is not a full image name"));
        }
    }
    Ok(aliases)
}
