//! SELinux labels.
//!
//! Labels are made only where the kernel enforces SELinux; elsewhere every answer is "no label". The category pair
//! that keeps two pods apart is made of the pod's random id, so that all its containers get the same one without a
//! table, before and after a restart; two pods share a pair with a chance of one in half a million.

mod relabel;

use std::path::Path;

use crio_types::{SandboxId, SelinuxOptions};

pub use relabel::{RelabelError, relabel};

/// The type of privileged containers' processes, which no rule confines.
pub const PRIVILEGED_TYPE: &str = "spc_t";

/// How many categories a policy has.
const CATEGORIES: u32 = 1024;

/// Labels of a container: of its processes and of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// `user:role:type:level` of the processes.
    pub process: String,
    /// `user:role:type:level` of the files.
    pub mount: String,
}

impl Labels {
    /// Whether nothing confines the processes, so that volumes are left as they are for them.
    #[must_use]
    pub fn is_unconfined(&self) -> bool {
        self.process.split(':').nth(2) == Some(PRIVILEGED_TYPE)
    }
}

/// A level that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SELinux option {option:?} is not part of a label")]
pub struct LabelError {
    /// What was given.
    pub option: String,
}

/// Whether the kernel enforces SELinux.
#[must_use]
pub fn enabled() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// The level of a pod: two distinct categories made of its id, the smaller one first.
#[must_use]
pub fn level_of(pod: &SandboxId) -> String {
    let part = |from: usize| u32::from_str_radix(&pod.as_str()[from..from + 8], 16).unwrap_or_default();
    let first = part(0) % CATEGORIES;
    let second = (first + 1 + part(8) % (CATEGORIES - 1)) % CATEGORIES;
    format!("s0:c{},c{}", first.min(second), first.max(second))
}

/// The labels `options` ask for, with the container defaults where they are silent and `level` where they name no
/// level.
///
/// # Errors
/// [`LabelError`] when a part holds what would change the label's shape.
pub fn labels(options: &SelinuxOptions, level: &str) -> Result<Labels, LabelError> {
    let or = |given: &str, default: &str| if given.is_empty() { default } else { given }.to_owned();
    for part in [&options.user, &options.role, &options.kind] {
        if part.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control()) {
            return Err(LabelError { option: part.clone() });
        }
    }
    let level = or(&options.level, level);
    if !is_level(&level) {
        return Err(LabelError { option: level });
    }
    let user = or(&options.user, "system_u");
    let role = or(&options.role, "system_r");
    let kind = or(&options.kind, "container_t");
    Ok(Labels {
        process: format!("{user}:{role}:{kind}:{level}"),
        mount: format!("system_u:object_r:container_file_t:{level}"),
    })
}

/// `s0`, `s0:c1,c2`, `s0-s0:c0.c1023` and their like.
fn is_level(level: &str) -> bool {
    level.starts_with('s')
        && level.split('-').all(|part| {
            let (sensitivity, categories) = part.split_once(':').unwrap_or((part, "c0"));
            numbered(sensitivity, 's') && categories.split([',', '.']).all(|category| numbered(category, 'c'))
        })
}

fn numbered(text: &str, letter: char) -> bool {
    text.strip_prefix(letter)
        .is_some_and(|digits| !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_parts_get_the_container_defaults() {
        let labels = labels(&SelinuxOptions::default(), "s0:c1,c2").expect("labels");
        assert_eq!(labels.process, "system_u:system_r:container_t:s0:c1,c2");
        assert_eq!(labels.mount, "system_u:object_r:container_file_t:s0:c1,c2");
    }

    #[test]
    fn only_the_privileged_type_is_unconfined() {
        for (kind, expected) in [("", false), ("container_t", false), ("spc_t", true), ("spc_t_like", false)] {
            let options = SelinuxOptions { kind: kind.to_owned(), ..SelinuxOptions::default() };
            assert_eq!(labels(&options, "s0").expect("labels").is_unconfined(), expected, "{kind:?}");
        }
    }

    #[test]
    fn the_two_categories_differ() {
        for byte in 0..=255 {
            let level = level_of(&SandboxId::from_bytes([byte; 32]));
            let (first, second) = level.trim_start_matches("s0:").split_once(',').expect("two");
            assert_ne!(first, second);
            assert!(is_level(&level), "{level}");
        }
    }

    #[test]
    fn a_bad_level_is_refused() {
        let cases = [
            ("s0", true),
            ("s0:c0.c1023", true),
            ("s0-s0:c0.c1023", true),
            ("wrong", false),
            ("s0:c1;c2", false),
            ("s0:", false),
            ("s0:c1,c2 x", false),
        ];
        for (level, accepted) in cases {
            let options = SelinuxOptions { level: level.to_owned(), ..SelinuxOptions::default() };
            assert_eq!(labels(&options, "s0").is_ok(), accepted, "{level:?}");
        }
    }
}
