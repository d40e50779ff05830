//! Relative links of Markdown files lead to files that exist, and what must be documented is.

use std::path::Path;

use super::{File, Findings};

/// Pages that packages ship; a test of the daemon's own says whether they are current.
const MAN_PAGES: [&str; 2] = ["docs/man/crio.8.md", "docs/man/crio.conf.5.md"];

pub(super) fn check(root: &Path, files: &[File], findings: &mut Findings) {
    for file in files.iter().filter(|file| file.path.extension().is_some_and(|kind| kind == "md")) {
        for target in links(&file.text) {
            let path = target.split('#').next().unwrap_or_default();
            let directory = file.path.parent().unwrap_or(Path::new(""));
            if !path.is_empty() && !root.join(directory).join(path).exists() {
                findings.problem(format!("{} links to {target}, which is not there", file.path.display()));
            }
        }
    }
    for page in MAN_PAGES {
        if !root.join(page).is_file() {
            findings.problem(format!("{page} is missing"));
        }
    }
}

/// The targets of `[text](target)` that are not web addresses, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for part in prose.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") && !target.is_empty() {
                found.push(target.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_relative_links_only() {
        let text =
            "[a](b.md) and [c](https://d) `[e](f)`\n```\n[g](h)\n```\n[i](j.md#k \"title\") [l](#m)\n[`n`](o.md)";
        assert_eq!(links(text), ["b.md", "j.md#k", "#m", "o.md"]);
    }
}
