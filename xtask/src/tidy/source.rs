//! Rules for every Rust file: a header, a length, a name, no words that mean *later*, `unsafe` only where it belongs.

use std::path::Path;

use super::{File, Findings};

/// Lines without tests.
const LENGTH_MAX: usize = 500;
/// Above this a file is mentioned.
const LENGTH_AIM: usize = 300;
const NAMES: [&str; 7] = ["utils.rs", "common.rs", "helpers.rs", "misc.rs", "manager.rs", "inner.rs", "mod.rs"];
/// Where `unsafe` may be.
const UNSAFE_PLACES: [&str; 1] = ["crates/base/sys"];
/// Crates whose standard output is theirs.
const PRINTERS: [&str; 5] = ["bin", "xtask", "bench", "tests", "crates/testkit"];
/// This file names the words it looks for.
const OWN: &str = "xtask/src/tidy/source.rs";

pub(super) fn check(files: &[File], findings: &mut Findings) {
    let mut unsafe_lines = 0;
    for file in files.iter().filter(|file| file.path.extension().is_some_and(|kind| kind == "rs")) {
        header(file, findings);
        name(file, findings);
        length(file, findings);
        if file.path != Path::new(OWN) {
            words(file, findings);
            unsafe_lines += unsafe_code(file, findings);
        }
    }
    findings.note(format!("{unsafe_lines} lines with unsafe, all in {}", UNSAFE_PLACES.join(", ")));
}

fn header(file: &File, findings: &mut Findings) {
    if !file.text.starts_with("//! ") {
        findings.problem(format!("{} does not open with //!", file.path.display()));
    }
}

fn name(file: &File, findings: &mut Findings) {
    if NAMES.contains(&file.name()) {
        findings.problem(format!("{} has a name that says nothing", file.path.display()));
    }
}

fn length(file: &File, findings: &mut Findings) {
    if is_test(&file.path) {
        return;
    }
    let length = shipped(&file.text).count();
    let text = format!("{} has {length} lines without tests", file.path.display());
    if length > LENGTH_MAX {
        findings.problem(text);
    } else if length > LENGTH_AIM {
        findings.note(text);
    }
}

fn words(file: &File, findings: &mut Findings) {
    let is_aside = file.name() == "build.rs" || file.path.iter().any(|part| part == "examples");
    let may_print = is_test(&file.path) || is_aside || PRINTERS.iter().any(|place| file.path.starts_with(place));
    for (number, line) in shipped(&file.text).enumerate() {
        let code = code(line);
        let banned = ["todo!(", "unimplemented!(", "dbg!("].into_iter().find(|word| code.contains(word));
        let printed = ["println!(", "print!("].into_iter().find(|word| !may_print && code.contains(word));
        let later = ["TODO", "FIXME", "XXX:"].into_iter().find(|word| line.contains(word));
        if let Some(word) = banned.or(printed).or(later) {
            findings.problem(format!("{}:{} has {word}", file.path.display(), number + 1));
        }
    }
}

/// How many lines open an unsafe block, function or implementation.
fn unsafe_code(file: &File, findings: &mut Findings) -> usize {
    let opens = |line: &&str| {
        let code = code(line);
        ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"].iter().any(|form| code.contains(form))
    };
    let count = file.text.lines().filter(opens).count();
    let allowed = UNSAFE_PLACES.iter().any(|place| file.path.starts_with(place));
    if count > 0 && !allowed {
        findings.problem(format!("{} has {count} lines with unsafe", file.path.display()));
    }
    count
}

/// The lines before an inline test module.
fn shipped(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        let line = lines.next()?;
        let is_tests = line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod tests {"));
        (!is_tests).then_some(line)
    })
    .fuse()
}

/// A line without its comment. A `//` inside a string ends it too, which hides nothing that is looked for here.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs") || path.iter().any(|part| part == "tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> usize {
        let mut findings = Findings::default();
        let file = File { path: path.into(), text: text.to_owned() };
        check(&[file], &mut findings);
        findings.problems.len()
    }

    #[test]
    fn each_rule_has_a_breach() {
        let long = format!("//! x\n{}", "a\n".repeat(LENGTH_MAX));
        let long_tests = format!("//! x\n#[cfg(test)]\nmod tests {{\n{}", "a\n".repeat(LENGTH_MAX));
        for (path, text, expected) in [
            ("crates/a/src/x.rs", "//! Good.\nfn a() {}\n", 0),
            ("crates/a/src/x.rs", "fn a() {}\n", 1),
            ("crates/a/src/utils.rs", "//! x\n", 1),
            ("crates/a/src/x.rs", long.as_str(), 1),
            ("crates/a/src/x.rs", long_tests.as_str(), 0),
            ("crates/a/src/x/tests.rs", long.as_str(), 0),
            ("crates/a/src/x.rs", "//! x\nfn a() { todo!() }\n", 1),
            ("crates/a/src/x.rs", "//! x\n// todo!( is a word\n", 0),
            ("crates/a/src/x.rs", "//! x\nfn a() { println!() }\n", 1),
            ("bin/a/src/x.rs", "//! x\nfn a() { println!() }\n", 0),
            ("crates/a/src/x.rs", "//! x\nfn a() { unsafe { b() } }\n", 1),
            ("crates/base/sys/src/x.rs", "//! x\nfn a() { unsafe { b() } }\n", 0),
            ("crates/a/src/x.rs", "//! x\n#![deny(unsafe_code)]\n", 0),
        ] {
            assert_eq!(problems(path, text), expected, "{path}: {}", &text[..text.len().min(60)]);
        }
    }
}
