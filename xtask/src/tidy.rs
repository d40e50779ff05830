//! The checks of the tree that no compiler makes. They read text, take a second, and report everything at once.
//!
//! * `layers`: dependencies point downward only
//! * `source`: headers, lengths, names, words that must not be there, and where `unsafe` is
//! * `links`: Markdown links lead somewhere

mod layers;
mod links;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::run::root;

/// Directories whose content is not ours to keep tidy.
const NOT_OURS: [&str; 4] = ["target", ".git", ".work", "node_modules"];

/// What was found, in words.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    problems: Vec<String>,
    notes: Vec<String>,
}

impl Findings {
    fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

/// A text file of the tree.
#[derive(Debug)]
pub(crate) struct File {
    /// Below the root.
    path: PathBuf,
    text: String,
}

impl File {
    fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }
}

/// Runs every check.
pub(crate) fn tidy() -> Result<()> {
    let root = root();
    let files = read(&root)?;
    let mut findings = Findings::default();
    layers::check(&files, &mut findings)?;
    source::check(&files, &mut findings);
    links::check(&root, &files, &mut findings);
    for note in &findings.notes {
        println!("note: {note}");
    }
    for problem in &findings.problems {
        println!("problem: {problem}");
    }
    let count = findings.problems.len();
    if count == 0 { Ok(()) } else { bail!("the tree has {count} problems") }
}

/// All Rust, TOML and Markdown files, sorted.
fn read(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        let entries = fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let name = entry.file_name();
            if entry.file_type()?.is_dir() {
                if !NOT_OURS.iter().any(|other| name == *other) {
                    pending.push(path);
                }
            } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "toml" || kind == "md") {
                let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let path = path.strip_prefix(root).unwrap_or(&path).to_owned();
                files.push(File { path, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
