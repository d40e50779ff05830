//! Network configurations: a name, a version and a chain of plugins (CNI specification, section 1).
//!
//! Both file formats end in one form here: a *list* with all its plugins inline. That document is also what the result
//! cache keeps, so that a pod leaves its network by the configuration it came in with. Keys we do not know stay in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::version::SpecVersion;

/// Largest configuration file that is read.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;
/// Longest chain of plugins.
const PLUGINS_MAX: usize = 64;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    /// The file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is far larger than any configuration.
    #[error("{path} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
    /// Not JSON, or not an object.
    #[error("not a JSON object")]
    Json {
        /// Why.
        source: serde_json::Error,
    },
    /// The network's name is missing or cannot be used in file names.
    #[error("the network name {0:?} is not allowed")]
    Name(String),
    /// A plugin's `type` is missing or is not a plain file name.
    #[error("the plugin type {0:?} is not a file name")]
    PluginType(String),
    /// A field holds what it must not.
    #[error("the field {0} has a wrong type")]
    Field(&'static str),
    /// None of its versions is spoken here.
    #[error("none of its CNI versions is supported: {0}")]
    Version(String),
    /// A list without plugins does nothing.
    #[error("it lists no plugins")]
    NoPlugins,
    /// More plugins than anybody chains.
    #[error("it lists more than {PLUGINS_MAX} plugins")]
    TooManyPlugins,
}

/// One plugin of a chain.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PluginConfiguration {
    /// File name of the program (`type`).
    pub(crate) program: String,
    /// Which runtime facts it asks for (`capabilities`).
    pub(crate) capabilities: BTreeSet<String>,
    /// The whole object, as configured.
    pub(crate) document: Map<String, Value>,
}

/// A network configuration with its whole chain.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NetworkConfiguration {
    pub(crate) name: String,
    /// Versions it may be used with, newest first; never empty.
    pub(crate) versions: Vec<SpecVersion>,
    pub(crate) disable_check: bool,
    pub(crate) disable_gc: bool,
    pub(crate) plugins: Vec<PluginConfiguration>,
}

impl NetworkConfiguration {
    /// Reads `path`: a `.conflist`, or a single plugin's configuration under any other extension.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigurationError> {
        let document = read_object(path)?;
        let fallback_name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == "conflist") {
            let directory = path.parent().unwrap_or(Path::new("/"));
            Self::from_list(&document, fallback_name, |name| plugins_of_folder(&directory.join(name)))
        } else {
            Self::from_single(document, fallback_name)
        }
    }

    /// Parses what [`Self::to_bytes`] wrote, or libcni's cache.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ConfigurationError> {
        let document: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|source| ConfigurationError::Json { source })?;
        Self::from_list(&document, "", |_| Ok(Vec::new()))
    }

    /// The list form with everything inline, fixed to `version`.
    pub(crate) fn to_bytes(&self, version: SpecVersion) -> Vec<u8> {
        let plugins = self.plugins.iter().map(|plugin| Value::Object(plugin.document.clone())).collect();
        let mut document = Map::new();
        document.insert("cniVersion".to_owned(), version.to_string().into());
        document.insert("name".to_owned(), self.name.clone().into());
        if self.disable_check {
            document.insert("disableCheck".to_owned(), true.into());
        }
        if self.disable_gc {
            document.insert("disableGC".to_owned(), true.into());
        }
        document.insert("plugins".to_owned(), Value::Array(plugins));
        Value::Object(document).to_string().into_bytes()
    }

    fn from_list(
        document: &Map<String, Value>,
        fallback_name: &str,
        plugins_of_folder: impl FnOnce(&str) -> Result<Vec<Map<String, Value>>, ConfigurationError>,
    ) -> Result<Self, ConfigurationError> {
        let name = network_name(document, fallback_name)?;
        let mut plugins = match document.get("plugins") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(plugins)) => plugins
                .iter()
                .map(|plugin| plugin.as_object().cloned().ok_or(ConfigurationError::Field("plugins")))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(ConfigurationError::Field("plugins")),
        };
        if !flag(document, "loadOnlyInlinedPlugins")? {
            plugins.extend(plugins_of_folder(&name)?);
        }
        Ok(Self {
            versions: versions(document)?,
            disable_check: flag(document, "disableCheck")?,
            disable_gc: flag(document, "disableGC")?,
            plugins: chain(plugins)?,
            name,
        })
    }

    fn from_single(document: Map<String, Value>, fallback_name: &str) -> Result<Self, ConfigurationError> {
        Ok(Self {
            name: network_name(&document, fallback_name)?,
            versions: versions(&document)?,
            disable_check: false,
            disable_gc: false,
            plugins: chain(vec![document])?,
        })
    }
}

fn read_object(path: &Path) -> Result<Map<String, Value>, ConfigurationError> {
    use std::io::Read;
    let read_error = |source| ConfigurationError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(read_error)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(read_error)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(ConfigurationError::TooLarge { path: path.to_owned(), limit_bytes: FILE_BYTES_MAX });
    }
    serde_json::from_slice(&bytes).map_err(|source| ConfigurationError::Json { source })
}

/// Plugins dropped into a directory named like the network, `*.conf` in lexical order; none when there is no such
/// directory. Lets an add-on join a chain without editing the file that starts it (libcni 1.3).
fn plugins_of_folder(folder: &Path) -> Result<Vec<Map<String, Value>>, ConfigurationError> {
    let read_error = |source| ConfigurationError::Read { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(read_error(error)),
    };
    let mut files = Vec::new();
    for entry in entries.take(PLUGINS_MAX + 1) {
        let path = entry.map_err(read_error)?.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            files.push(path);
        }
    }
    files.sort();
    files.iter().map(|path| read_object(path)).collect()
}

fn network_name(document: &Map<String, Value>, fallback: &str) -> Result<String, ConfigurationError> {
    let name = match document.get("name") {
        None | Some(Value::Null) => fallback,
        Some(Value::String(name)) if name.is_empty() => fallback,
        Some(Value::String(name)) => name,
        Some(_) => return Err(ConfigurationError::Field("name")),
    };
    if is_plain_name(name) { Ok(name.to_owned()) } else { Err(ConfigurationError::Name(name.to_owned())) }
}

/// Names that are safe in file names: a letter or digit, then letters, digits, `_`, `.` and `-`.
pub(crate) fn is_plain_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// `cniVersions` and `cniVersion` together, those spoken here, newest first.
fn versions(document: &Map<String, Value>) -> Result<Vec<SpecVersion>, ConfigurationError> {
    let mut texts = Vec::new();
    match document.get("cniVersions") {
        None | Some(Value::Null) => {}
        Some(Value::Array(versions)) => {
            for version in versions {
                texts.push(version.as_str().ok_or(ConfigurationError::Field("cniVersions"))?);
            }
        }
        Some(_) => return Err(ConfigurationError::Field("cniVersions")),
    }
    match document.get("cniVersion") {
        None | Some(Value::Null) => {}
        Some(Value::String(version)) if version.is_empty() => {}
        Some(Value::String(version)) => texts.push(version),
        Some(_) => return Err(ConfigurationError::Field("cniVersion")),
    }
    if texts.is_empty() {
        return Ok(vec![SpecVersion::OLDEST]);
    }
    let mut versions: Vec<SpecVersion> = texts.iter().filter_map(|text| SpecVersion::parse(text)).collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.dedup();
    if versions.is_empty() {
        return Err(ConfigurationError::Version(texts.join(", ")));
    }
    Ok(versions)
}

fn chain(documents: Vec<Map<String, Value>>) -> Result<Vec<PluginConfiguration>, ConfigurationError> {
    if documents.is_empty() {
        return Err(ConfigurationError::NoPlugins);
    }
    if documents.len() > PLUGINS_MAX {
        return Err(ConfigurationError::TooManyPlugins);
    }
    documents.into_iter().map(plugin).collect()
}

fn plugin(document: Map<String, Value>) -> Result<PluginConfiguration, ConfigurationError> {
    let program = match document.get("type") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(program)) => program.clone(),
        Some(_) => return Err(ConfigurationError::Field("type")),
    };
    let bare = !program.is_empty()
        && !matches!(program.as_str(), "." | "..")
        && !program.contains(|c: char| matches!(c, '/' | '\\') || c.is_control());
    if !bare {
        return Err(ConfigurationError::PluginType(program));
    }
    let capabilities = match document.get("capabilities") {
        None | Some(Value::Null) => BTreeSet::new(),
        Some(Value::Object(capabilities)) => capabilities
            .iter()
            .filter(|(_, wanted)| wanted.as_bool() == Some(true))
            .map(|(name, _)| name.clone())
            .collect(),
        Some(_) => return Err(ConfigurationError::Field("capabilities")),
    };
    Ok(PluginConfiguration { program, capabilities, document })
}

/// A boolean, which the specification also allows as the strings `true` and `false`.
fn flag(document: &Map<String, Value>, name: &'static str) -> Result<bool, ConfigurationError> {
    match document.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(ConfigurationError::Field(name)),
    }
}

#[cfg(test)]
mod tests;
