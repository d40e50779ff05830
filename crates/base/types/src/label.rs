//! Labels and annotations, and the selector that filters by them.

use std::collections::BTreeMap;

/// Labels or annotations: sorted, so that records and tables are stable.
pub type Labels = BTreeMap<String, String>;

/// Whether `labels` carry every pair of `selector`; an empty selector selects everything (CRI list filters).
#[must_use]
pub fn selects(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn every_pair_must_match() {
        let have = labels(&[("app", "web"), ("tier", "front")]);
        let cases = [
            (labels(&[]), true),
            (labels(&[("app", "web")]), true),
            (labels(&[("app", "web"), ("tier", "front")]), true),
            (labels(&[("app", "db")]), false),
            (labels(&[("app", "web"), ("zone", "a")]), false),
        ];
        for (selector, expected) in cases {
            assert_eq!(selects(&selector, &have), expected, "{selector:?}");
        }
    }
}
