//! registries.conf: where a name leads, by containers-registries.conf(5) version 2.
//!
//! [`Registries`] is the main file and its `.d` drop-ins, read and checked as a whole; a reload makes a new value. It
//! answers two questions: which names a short name may stand for, and from which hosts, in which order, a reference
//! is fetched. It opens no connection and knows no credentials.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::reference::Reference;

mod file;
mod short_name;
mod source;

pub use short_name::{ShortNameError, ShortNameMode};
pub use source::{Endpoint, SourceError};

/// Largest configuration file that is read.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// The helper that stands for the authentication files themselves.
pub(crate) const AUTH_FILES: &str = "containers-auth.json";

/// Where registries.conf and its companions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistriesPaths {
    /// The main file.
    pub main: PathBuf,
    /// Directory of drop-ins, read in the order of their names after the main file.
    pub drop_ins: PathBuf,
    /// Aliases that podman recorded; the configuration's own go second.
    pub recorded_aliases: PathBuf,
}

impl Default for RegistriesPaths {
    fn default() -> Self {
        Self {
            main: "/etc/containers/registries.conf".into(),
            drop_ins: "/etc/containers/registries.conf.d".into(),
            recorded_aliases: "/var/cache/containers/short-name-aliases.conf".into(),
        }
    }
}

/// A registry configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistriesError {
    /// A file cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not TOML of the expected shape.
    #[error("parsing {}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A file says something that cannot be meant.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What.
        reason: String,
    },
}

/// Whether a mirror is asked for tags, digests or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PullFrom {
    #[default]
    All,
    DigestOnly,
    TagOnly,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirror {
    pub(crate) location: String,
    pub(crate) insecure: bool,
    pub(crate) pull_from: PullFrom,
}

/// One `[[registry]]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registry {
    /// Host, host and path, or `*.host`: which names the table is for.
    pub(crate) prefix: String,
    /// What replaces the prefix; empty leaves the name as it is.
    pub(crate) location: String,
    pub(crate) insecure: bool,
    pub(crate) blocked: bool,
    pub(crate) mirrors: Vec<Mirror>,
}

/// The registry configuration of this node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registries {
    registries: Vec<Registry>,
    search: Vec<String>,
    short_name_mode: ShortNameMode,
    aliases: BTreeMap<String, String>,
    credential_helpers: Vec<String>,
}

impl Registries {
    /// Reads the configuration. Without any file, short names belong to Docker Hub.
    ///
    /// # Errors
    /// A file cannot be read or makes no sense. A file that does not exist is no error.
    pub fn load(paths: &RegistriesPaths) -> Result<Self, RegistriesError> {
        let mut merged = file::Merged::default();
        let mut found = false;
        let drop_ins = drop_ins(&paths.drop_ins)?;
        for path in std::iter::once(&paths.main).chain(&drop_ins) {
            if let Some(text) = read(path)? {
                found = true;
                merged.add(path, &text)?;
            }
        }
        if let Some(text) = read(&paths.recorded_aliases)? {
            merged.add_recorded_aliases(&paths.recorded_aliases, &text)?;
        }
        if !found {
            merged.search = vec![crate::reference::DEFAULT_REGISTRY.to_owned()];
        }
        Ok(merged.finish())
    }

    /// The configuration one text describes, for tests and tools.
    ///
    /// # Errors
    /// The text makes no sense.
    pub fn parse(text: &str) -> Result<Self, RegistriesError> {
        let mut merged = file::Merged::default();
        merged.add(Path::new("registries.conf"), text)?;
        Ok(merged.finish())
    }

    /// This configuration with short names resolved by `mode`, whatever the files say (`crio.conf` has its own option).
    #[must_use]
    pub fn with_short_name_mode(mut self, mode: ShortNameMode) -> Self {
        self.short_name_mode = mode;
        self
    }

    /// Credential helpers to ask, in order; [`AUTH_FILES`] stands for the authentication files.
    pub(crate) fn credential_helpers(&self) -> &[String] {
        &self.credential_helpers
    }

    /// The table for `reference`: the one with the longest matching prefix.
    fn table_for(&self, reference: &Reference) -> Option<(&Registry, usize)> {
        let name = reference.to_string();
        self.registries
            .iter()
            .filter_map(|registry| source::matched_length(&registry.prefix, &name).map(|length| (registry, length)))
            .max_by_key(|(registry, _)| registry.prefix.len())
    }
}

fn drop_ins(directory: &Path) -> Result<Vec<PathBuf>, RegistriesError> {
    let failed = |source| RegistriesError::Read { path: directory.to_owned(), source };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf") && path.is_file());
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Option<String>, RegistriesError> {
    use std::io::Read;
    let failed = |source| RegistriesError::Read { path: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests;
