//! From sources to one configuration: defaults < storage.conf < crio.conf < drop-ins < environment < flags.
//!
//! A value that its option does not take is a problem, unless a later source sets the option properly: then it is a
//! warning. The order and the defaults are CRI-O's. The only I/O is reading the named files, and looking for crun and runc
//! when nobody says which runtime is the default.

mod discover;
mod notice;
mod storage_conf;
mod variable;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use toml::Value;

use crate::codec::Mismatch;
use crate::config::Config;
use crate::file::{Document, Entry, TableName, parse_file};
use crate::problem::{ConfigErrors, Origin, Problem, Warning};
use crate::section::{RuntimeHandler, Section};
use crate::validate;

/// The configuration file when nobody names one; it may be missing.
pub const DEFAULT_FILE: &str = "/etc/crio/crio.conf";
/// The directory of drop-in files when nobody names one; it may be missing.
pub const DEFAULT_DIRECTORY: &str = "/etc/crio/crio.conf.d";

/// Where a configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The configuration file, which then has to exist; `None` for [`DEFAULT_FILE`].
    pub config: Option<PathBuf>,
    /// The directory of drop-in files; `None` for [`DEFAULT_DIRECTORY`], empty for no directory.
    pub config_dir: Option<PathBuf>,
    /// The file that says where container storage is; `None` for the places containers/storage looks at.
    pub storage_conf: Option<PathBuf>,
    /// The environment. Besides the variables of the options, `PATH`, `CONTAINER_CONFIG`, `CONTAINER_CONFIG_DIR` and
    /// `CONTAINERS_STORAGE_CONF` count.
    pub environment: BTreeMap<String, String>,
    /// Flags by long name, with every occurrence.
    pub flags: BTreeMap<String, Vec<String>>,
}

impl Sources {
    /// The environment of this process, the default files, and no flags. Variables that are not UTF-8 are left out.
    #[must_use]
    pub fn from_process() -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { environment, ..Self::default() }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn path(&self, given: Option<&PathBuf>, variable: &str) -> Option<PathBuf> {
        given.cloned().or_else(|| self.variable(variable).map(PathBuf::from))
    }
}

/// Reads every source and gives the configuration they make together.
///
/// # Errors
/// [`ConfigErrors`] with everything that is wrong.
pub fn load(sources: &Sources) -> Result<(Config, Vec<Warning>), ConfigErrors> {
    let mut loader = Loader::default();
    loader.read_storage_conf(sources);
    loader.read_file(sources);
    loader.read_directory(sources);
    loader.read_environment(sources);
    loader.read_flags(sources);
    loader.finish(sources.variable("PATH").map(OsStr::new))
}

/// Gives the configuration that `documents` make over the defaults, without any other source or I/O.
///
/// # Errors
/// [`ConfigErrors`] with everything that is wrong.
pub fn load_documents(documents: Vec<Document>) -> Result<(Config, Vec<Warning>), ConfigErrors> {
    let mut loader = Loader::default();
    for document in documents {
        loader.apply(document);
    }
    loader.finish(None)
}

type OptionId = (TableName, &'static str);

/// A configuration in the making.
#[derive(Debug, Default)]
pub(crate) struct Loader {
    pub(crate) config: Config,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) problems: Vec<Problem>,
    origins: BTreeMap<OptionId, Origin>,
    rejected: BTreeMap<OptionId, (Origin, Mismatch)>,
}

impl Loader {
    fn read_file(&mut self, sources: &Sources) {
        let named = sources.path(sources.config.as_ref(), "CONTAINER_CONFIG");
        let path = named.clone().unwrap_or_else(|| DEFAULT_FILE.into());
        match discover::read(&path) {
            Ok(text) => self.apply(parse_file(&path, &text)),
            Err(Problem::Read { source, .. }) if named.is_none() && source.kind() == std::io::ErrorKind::NotFound => {}
            Err(problem) => self.problems.push(problem),
        }
    }

    fn read_directory(&mut self, sources: &Sources) {
        let named = sources.path(sources.config_dir.as_ref(), "CONTAINER_CONFIG_DIR");
        let directory = named.unwrap_or_else(|| DEFAULT_DIRECTORY.into());
        if directory.as_os_str().is_empty() {
            return;
        }
        let paths = discover::files_below(&directory).unwrap_or_else(|problem| {
            self.problems.push(problem);
            Vec::new()
        });
        for path in paths {
            match discover::read(&path) {
                Ok(text) => self.apply(parse_file(&path, &text)),
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    fn read_storage_conf(&mut self, sources: &Sources) {
        let named = sources.path(sources.storage_conf.as_ref(), "CONTAINERS_STORAGE_CONF");
        match storage_conf::read(named.as_deref()) {
            Ok(Some(document)) => self.apply(document),
            Ok(None) => {}
            Err(problem) => self.problems.push(problem),
        }
    }

    fn apply(&mut self, document: Document) {
        for entry in &document.entries {
            let origin = document.origin(entry.line);
            match entry.option {
                Some(key) => self.apply_setting(entry, key, origin),
                None => self.begin_table(&entry.table),
            }
        }
        self.warnings.extend(document.warnings);
        self.problems.extend(document.problems);
    }

    /// A handler or workload that a file mentions starts from nothing, whatever an earlier file said about it.
    fn begin_table(&mut self, table: &TableName) {
        match table {
            TableName::Handler(name) => {
                self.config.runtimes.insert(name.clone(), RuntimeHandler::default());
            }
            TableName::Workload(name) => {
                self.config.workloads.insert(name.clone(), crate::Workload::default());
            }
            _ => return,
        }
        self.rejected.retain(|(known, _), _| known != table);
    }

    fn apply_setting(&mut self, entry: &Entry, key: &'static str, origin: Origin) {
        // An empty place in crio.conf means the one storage.conf gives.
        const INHERITED: [&str; 3] = ["root", "runroot", "storage_driver"];
        let storage = entry.table == TableName::Fixed("crio");
        if storage && INHERITED.contains(&key) && entry.value.as_str() == Some("") {
            return;
        }
        let value = match entry.table.option(key) {
            Some(spec) if spec.appends => self.appended(&entry.table, key, &entry.value),
            _ => entry.value.clone(),
        };
        self.set(&entry.table, key, &value, origin);
    }

    /// The elements of the list as it is and of `more`, each once.
    fn appended(&mut self, table: &TableName, key: &str, more: &Value) -> Value {
        let Some(Value::Array(mut elements)) = self.section_mut(table).and_then(|section| section.get(key)) else {
            return more.clone();
        };
        let Value::Array(added) = more else {
            return more.clone();
        };
        for element in added {
            if !elements.contains(element) {
                elements.push(element.clone());
            }
        }
        Value::Array(elements)
    }

    pub(crate) fn section_mut(&mut self, table: &TableName) -> Option<&mut dyn Section> {
        match table {
            TableName::Root | TableName::Handlers | TableName::Workloads => None,
            TableName::Fixed(path) => self.config.section_mut(path),
            TableName::Handler(name) => self.config.runtimes.get_mut(name).map(|it| it as &mut dyn Section),
            TableName::Workload(name) => self.config.workloads.get_mut(name).map(|it| it as &mut dyn Section),
            TableName::Resources(name) => {
                self.config.workloads.get_mut(name).map(|it| &mut it.resources as &mut dyn Section)
            }
        }
    }

    fn set(&mut self, table: &TableName, key: &'static str, value: &Value, origin: Origin) {
        let Some(section) = self.section_mut(table) else {
            return;
        };
        let id = (table.clone(), key);
        match section.set(key, value) {
            Ok(()) => {
                if let Some((earlier, mismatch)) = self.rejected.remove(&id) {
                    self.warnings.push(Warning {
                        origin: earlier,
                        message: format!(
                            "{} = {} is not usable (expected {}) and was replaced by {origin}",
                            table.qualified(key),
                            mismatch.found,
                            mismatch.expected
                        ),
                    });
                }
                self.origins.insert(id, origin);
            }
            Err(mismatch) => {
                self.rejected.insert(id, (origin, mismatch));
            }
        }
    }

    /// Where the option was set last.
    pub(crate) fn origin(&self, path: &'static str, key: &'static str) -> Origin {
        let id = (TableName::Fixed(path), key);
        self.origins.get(&id).cloned().unwrap_or(Origin::Default)
    }

    /// Where the option of a handler was set last.
    pub(crate) fn handler_origin(&self, name: &str, key: &'static str) -> Origin {
        let id = (TableName::Handler(name.to_owned()), key);
        self.origins.get(&id).cloned().unwrap_or(Origin::Default)
    }

    fn finish(mut self, search_path: Option<&OsStr>) -> Result<(Config, Vec<Warning>), ConfigErrors> {
        for ((table, key), (origin, mismatch)) in std::mem::take(&mut self.rejected) {
            self.problems.push(Problem::Value {
                origin,
                option: table.qualified(key),
                found: mismatch.found,
                expected: mismatch.expected,
            });
        }
        self.warn_about_rows();
        validate::settle(&mut self, search_path);
        if self.problems.is_empty() { Ok((self.config, self.warnings)) } else { Err(ConfigErrors(self.problems)) }
    }
}

/// Where `program` is in the directories of `search_path`.
pub(crate) fn find_program(program: &Path, search_path: &OsStr) -> Option<PathBuf> {
    discover::find_program(program, search_path)
}

#[cfg(test)]
mod tests;
