//! The path of an archive's entry, cleaned word by word.
//!
//! As `filepath.Clean` under a root: empty and `.` words vanish, `..` takes the word before it away and cannot climb
//! above the root.

use std::io;

use crate::error::ApplyError;

/// A path below the root of a layer.
#[derive(Debug)]
pub(crate) struct CleanPath<'a> {
    words: Vec<&'a [u8]>,
    climbs: bool,
    written: &'a [u8],
}

impl<'a> CleanPath<'a> {
    pub(crate) fn new(written: &'a [u8]) -> Self {
        let mut words = Vec::new();
        let mut climbs = false;
        for word in written.split(|byte| *byte == b'/') {
            match word {
                b"" | b"." => {}
                b".." => {
                    climbs = true;
                    words.pop();
                }
                word => words.push(word),
            }
        }
        Self { words, climbs, written }
    }

    /// The last word; the root has none.
    pub(crate) fn name(&self) -> Option<&'a [u8]> {
        self.words.last().copied()
    }

    /// The words before the last.
    pub(crate) fn parents(&self) -> &[&'a [u8]] {
        &self.words[..self.words.len().saturating_sub(1)]
    }

    /// Whether `..` occurs in it as written.
    pub(crate) fn climbs(&self) -> bool {
        self.climbs
    }

    /// The cleaned path.
    pub(crate) fn joined(&self) -> Vec<u8> {
        self.words.join(&b'/')
    }

    /// A failure at this path.
    pub(crate) fn error(&self, action: &'static str, source: io::Error) -> ApplyError {
        ApplyError::Entry { action, path: String::from_utf8_lossy(self.written).into_owned(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::CleanPath;

    #[test]
    fn cleans() {
        let cases: [(&str, &str, bool); 10] = [
            ("a/b", "a/b", false),
            ("./a//b/", "a/b", false),
            ("/a/./b", "a/b", false),
            ("a/../b", "b", true),
            ("../../etc/passwd", "etc/passwd", true),
            ("a/b/../../../c", "c", true),
            ("..", "", true),
            (".", "", false),
            ("/", "", false),
            ("...", "...", false),
        ];
        for (written, cleaned, climbs) in cases {
            let path = CleanPath::new(written.as_bytes());
            assert_eq!((path.joined().as_slice(), path.climbs()), (cleaned.as_bytes(), climbs), "{written:?}");
        }
    }
}
