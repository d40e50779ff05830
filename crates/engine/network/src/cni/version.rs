//! Versions of the CNI specification.

use std::fmt;

/// Every version spoken here, oldest first.
const SUPPORTED: [SpecVersion; 7] = [
    SpecVersion(0, 1, 0),
    SpecVersion(0, 2, 0),
    SpecVersion(0, 3, 0),
    SpecVersion(0, 3, 1),
    SpecVersion(0, 4, 0),
    SpecVersion(1, 0, 0),
    SpecVersion(1, 1, 0),
];

/// A version of the specification that is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SpecVersion(u8, u8, u8);

impl SpecVersion {
    /// What a configuration without a version means.
    pub(crate) const OLDEST: Self = Self(0, 1, 0);
    /// The first with CHECK, and with the previous result in DEL.
    pub(crate) const WITH_CHECK: Self = Self(0, 4, 0);
    /// The first with STATUS and GC.
    pub(crate) const WITH_STATUS: Self = Self(1, 1, 0);

    /// The version spelled `text`; `None` if it is not spoken here.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        SUPPORTED.into_iter().find(|version| version.to_string() == text)
    }
}

impl fmt::Display for SpecVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_and_unknown_ones_are_not_spoken() {
        assert!(SUPPORTED.is_sorted());
        for version in SUPPORTED {
            assert_eq!(SpecVersion::parse(&version.to_string()), Some(version));
        }
        for text in ["1.2.0", "1.0", "v1.0.0", "", "0.4.0-rc1"] {
            assert_eq!(SpecVersion::parse(text), None, "{text:?}");
        }
    }
}
