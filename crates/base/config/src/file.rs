//! One configuration file, from text to a list of settings with line numbers.
//!
//! [`parse_file`] is pure: it never reads a file, and it does not judge values. It knows which tables exist, because a
//! table under an option (`default_annotations`) is a value and a table under a table is not. Keys that do not exist
//! become warnings: CRI-O ignores them, and files outlive the versions they were written for.

use std::path::{Path, PathBuf};

use toml::Value;
use toml::de::{DeTable, DeValue};

use crate::config::{RUNTIMES, TABLES, WORKLOADS};
use crate::problem::{Origin, Problem, Warning};
use crate::section::{Daemon, OptionSpec, RuntimeHandler, Workload, WorkloadResources};

/// A table of the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableName {
    /// The file itself.
    Root,
    /// One that always exists, by its path; the empty path is that of the settings outside the file.
    Fixed(&'static str),
    /// The parent of the runtime handlers.
    Handlers,
    /// A runtime handler.
    Handler(String),
    /// The parent of the workloads.
    Workloads,
    /// A workload.
    Workload(String),
    /// The resources of a workload.
    Resources(String),
}

impl TableName {
    /// The table `key` below this one; `None` when there is no such table.
    fn child(&self, key: &str) -> Option<Self> {
        let fixed = |path: &str| {
            let found = TABLES.iter().find(|(known, _)| *known == path);
            found.map(|(known, _)| Self::Fixed(known))
        };
        match self {
            Self::Root => fixed(key),
            Self::Fixed("crio.runtime") if key == "runtimes" => Some(Self::Handlers),
            Self::Fixed("crio.runtime") if key == "workloads" => Some(Self::Workloads),
            Self::Fixed(parent) => fixed(&format!("{parent}.{key}")),
            Self::Handlers => Some(Self::Handler(key.to_owned())),
            Self::Workloads => Some(Self::Workload(key.to_owned())),
            Self::Workload(name) if key == "resources" => Some(Self::Resources(name.clone())),
            Self::Handler(_) | Self::Workload(_) | Self::Resources(_) => None,
        }
    }

    /// The rows of this table.
    pub(crate) fn options(&self) -> &'static [OptionSpec] {
        match self {
            Self::Root | Self::Handlers | Self::Workloads => &[],
            Self::Fixed("") => Daemon::OPTIONS,
            Self::Fixed(path) => TABLES.iter().find(|(known, _)| known == path).map_or(&[], |(_, options)| options),
            Self::Handler(_) => RuntimeHandler::OPTIONS,
            Self::Workload(_) => Workload::OPTIONS,
            Self::Resources(_) => WorkloadResources::OPTIONS,
        }
    }

    /// The row of `key`.
    pub(crate) fn option(&self, key: &str) -> Option<&'static OptionSpec> {
        self.options().iter().find(|spec| spec.key == key)
    }

    /// The dotted name of `key` in this table.
    pub(crate) fn qualified(&self, key: &str) -> String {
        match self {
            Self::Root => key.to_owned(),
            Self::Fixed(path) => format!("{path}.{key}"),
            Self::Handlers => format!("{RUNTIMES}.{key}"),
            Self::Handler(name) => format!("{RUNTIMES}.{name}.{key}"),
            Self::Workloads => format!("{WORKLOADS}.{key}"),
            Self::Workload(name) => format!("{WORKLOADS}.{name}.{key}"),
            Self::Resources(name) => format!("{WORKLOADS}.{name}.resources.{key}"),
        }
    }
}

/// One setting, or the mere presence of a handler's or workload's table.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its table.
    pub table: TableName,
    /// The row it sets; `None` for the table itself.
    pub option: Option<&'static str>,
    /// What to; meaningless for the table itself.
    pub value: Value,
    /// Its line, from 1.
    pub line: usize,
}

/// What a file says.
#[derive(Debug, Default)]
pub struct Document {
    /// Name of the file, for messages.
    pub name: PathBuf,
    /// Its settings in file order; a table's own entry comes before its settings.
    pub entries: Vec<Entry>,
    /// What is odd.
    pub warnings: Vec<Warning>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Keys that the documentation of CRI-O puts into one table and its program into another.
const MOVED: [(&str, &str, &str); 2] = [
    ("crio.image", "separate_pull_cgroup", "crio.runtime"),
    ("crio.image", "additional_artifact_stores", "crio.runtime"),
];

/// Reads `text` as a configuration file called `name`.
#[must_use]
pub fn parse_file(name: &Path, text: &str) -> Document {
    let mut document = Document { name: name.to_owned(), ..Document::default() };
    let lines = LineIndex::new(text);
    match DeTable::parse(text) {
        Ok(root) => document.walk(&TableName::Root, root.get_ref(), &lines),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            document.problems.push(Problem::Syntax {
                origin: document.origin(lines.line(at)),
                message: error.message().replace('\n', ", "),
            });
        }
    }
    document
}

impl Document {
    pub(crate) fn origin(&self, line: usize) -> Origin {
        Origin::File { path: self.name.clone(), line }
    }

    fn walk(&mut self, table: &TableName, content: &DeTable<'_>, lines: &LineIndex) {
        let mut items: Vec<_> = content.iter().collect();
        items.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in items {
            let line = lines.line(key.span().start);
            self.item(table, key.get_ref(), value.get_ref(), line, lines);
        }
    }

    fn item(&mut self, table: &TableName, key: &str, value: &DeValue<'_>, line: usize, lines: &LineIndex) {
        if let Some(child) = table.child(key) {
            let DeValue::Table(content) = value else {
                self.problems.push(Problem::Value {
                    origin: self.origin(line),
                    option: table.qualified(key),
                    found: plain(value).map_or_else(|| value.type_str().to_owned(), |value| value.to_string()),
                    expected: "a table".to_owned(),
                });
                return;
            };
            if matches!(child, TableName::Handler(_) | TableName::Workload(_)) {
                self.entries.push(Entry { table: child.clone(), option: None, value: Value::Boolean(true), line });
            }
            return self.walk(&child, content, lines);
        }
        let moved = MOVED
            .iter()
            .find(|(from, moved, _)| *table == TableName::Fixed(from) && *moved == key)
            .map(|(_, _, to)| TableName::Fixed(to));
        let table = moved.as_ref().unwrap_or(table);
        match (table.option(key), plain(value)) {
            (Some(spec), Some(value)) => {
                self.entries.push(Entry { table: table.clone(), option: Some(spec.key), value, line });
            }
            (Some(spec), None) => self.problems.push(Problem::Value {
                origin: self.origin(line),
                option: table.qualified(key),
                found: "a number out of range".to_owned(),
                expected: (spec.expected)(),
            }),
            (None, _) => self.warnings.push(Warning {
                origin: self.origin(line),
                message: format!("{} is not an option and is ignored", table.qualified(key)),
            }),
        }
    }
}

/// The value without positions; `None` for numbers that no 64 bits hold.
pub(crate) fn plain(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(number) => Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()?),
        DeValue::Float(number) => Value::Float(number.as_str().parse().ok()?),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Datetime(moment) => Value::Datetime(*moment),
        DeValue::Array(elements) => {
            let elements: Option<Vec<Value>> = elements.iter().map(|element| plain(element.get_ref())).collect();
            Value::Array(elements?)
        }
        DeValue::Table(content) => {
            let entries: Option<toml::Table> = content
                .iter()
                .map(|(key, value)| Some((key.get_ref().clone().into_owned(), plain(value.get_ref())?)))
                .collect();
            Value::Table(entries?)
        }
    })
}

/// Where lines begin, so that an offset becomes a line number.
pub(crate) struct LineIndex {
    starts: Vec<usize>,
}

impl LineIndex {
    pub(crate) fn new(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self { starts: std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect() }
    }

    /// The line, from 1, that holds the byte at `offset`.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }
}

#[cfg(test)]
mod tests;
