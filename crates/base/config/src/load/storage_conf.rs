//! The part of containers/storage' own storage.conf(5) that crio.conf inherits: places, driver, and the options of overlay.
//!
//! Keys we do not use are not ours to warn about.

use std::path::Path;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::discover;
use crate::file::{Document, Entry, LineIndex, TableName, plain};
use crate::problem::Problem;

/// The administrator's file, and the distribution's, of which the first that exists counts.
const PLACES: [&str; 2] = ["/etc/containers/storage.conf", "/usr/share/containers/storage.conf"];

/// Keys of `[storage]` and the options of `[crio]` they are the defaults of.
const KEYS: [(&str, &str); 4] =
    [("driver", "storage_driver"), ("graphroot", "root"), ("runroot", "runroot"), ("imagestore", "imagestore")];

/// Keys of `[storage.options.overlay]` that become `overlay.KEY=value`.
const OVERLAY_KEYS: [&str; 8] = [
    "ignore_chown_errors",
    "mount_program",
    "mountopt",
    "size",
    "inodes",
    "skip_mount_home",
    "force_mask",
    "use_composefs",
];

/// The file at `named`, or the first of the usual places; `None` when there is none.
pub(super) fn read(named: Option<&Path>) -> Result<Option<Document>, Problem> {
    if let Some(path) = named {
        return discover::read(path).map(|text| Some(parse(path, &text)));
    }
    for path in PLACES.map(Path::new) {
        match discover::read(path) {
            Ok(text) => return Ok(Some(parse(path, &text))),
            Err(Problem::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(None)
}

/// The settings of crio.conf that the storage.conf `text` stands for.
pub(super) fn parse(name: &Path, text: &str) -> Document {
    let mut document = Document { name: name.to_owned(), ..Document::default() };
    let lines = LineIndex::new(text);
    match DeTable::parse(text) {
        Ok(root) => {
            if let Some(storage) = table(root.get_ref(), "storage") {
                read_places(&mut document, storage, &lines);
                read_options(&mut document, storage, &lines);
            }
        }
        Err(error) => document.problems.push(Problem::Syntax {
            origin: document.origin(lines.line(error.span().map_or(0, |span| span.start))),
            message: error.message().replace('\n', ", "),
        }),
    }
    document
}

fn table<'a, 'i>(parent: &'a DeTable<'i>, key: &str) -> Option<&'a DeTable<'i>> {
    match parent.get(key)?.get_ref() {
        DeValue::Table(content) => Some(content),
        _ => None,
    }
}

fn read_places(document: &mut Document, storage: &DeTable<'_>, lines: &LineIndex) {
    for (key, value) in storage {
        let target = KEYS.iter().find(|(known, _)| *known == key.get_ref());
        if let (Some((_, option)), Some(value)) = (target, plain(value.get_ref())) {
            document.entries.push(Entry {
                table: TableName::Fixed("crio"),
                option: Some(option),
                value,
                line: lines.line(key.span().start),
            });
        }
    }
}

fn read_options(document: &mut Document, storage: &DeTable<'_>, lines: &LineIndex) {
    let Some(options) = table(storage, "options") else {
        return;
    };
    let mut found = Vec::new();
    let mut line = 1;
    if let Some(stores) = options.get("additionalimagestores") {
        line = lines.line(stores.span().start);
        if let Some(Value::Array(stores)) = plain(stores.get_ref()) {
            found.extend(stores.iter().filter_map(Value::as_str).map(|store| format!("overlay.imagestore={store}")));
        }
    }
    let overlay = table(options, "overlay");
    for key in OVERLAY_KEYS {
        let value = overlay.and_then(|overlay| overlay.get(key)).or_else(|| options.get(key));
        let text = value.and_then(|value| value.get_ref().as_str().map(|text| (value.span().start, text)));
        if let Some((at, text)) = text.filter(|(_, text)| !text.is_empty()) {
            line = lines.line(at);
            found.push(format!("overlay.{key}={text}"));
        }
    }
    if !found.is_empty() {
        document.entries.push(Entry {
            table: TableName::Fixed("crio"),
            option: Some("storage_option"),
            value: Value::Array(found.into_iter().map(Value::String).collect()),
            line,
        });
    }
}
