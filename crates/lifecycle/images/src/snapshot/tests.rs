//! Look-ups by everything an image may be called.

use std::collections::BTreeMap;

use crio_types::Timestamp;

use super::*;
use crate::Config;

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

fn record(id: &str, names: &[&str], history: &[&str], digests: &[char]) -> Arc<ImageRecord> {
    let digests: Vec<String> = digests.iter().map(|letter| digest(*letter)).collect();
    Arc::new(ImageRecord {
        id: format!("{id}{}", "0".repeat(64 - id.len())).parse().unwrap(),
        digest: digests.first().cloned(),
        digests,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        names_history: history.iter().map(|name| (*name).to_owned()).collect(),
        top_layer: None,
        mapped_top_layers: Vec::new(),
        metadata: String::new(),
        big_data: BTreeMap::new(),
        created: Timestamp::NEVER,
    })
}

fn snapshot() -> Snapshot {
    let pinned = Arc::new(Pinned::new(&Config { pause_image: "registry.k8s.io/pause:3".into(), ..Config::default() }));
    let records: Arc<[_]> = [
        record("abcd", &["docker.io/library/busybox:latest", "quay.io/x/busybox:1"], &[], &['a', 'b']),
        record("abce", &[&format!("quay.io/x/app@{}", digest('c'))], &[], &['c']),
        record("f00d", &[], &["quay.io/x/old:1"], &['d']),
        record("beef", &["registry.k8s.io/pause:3", "localhost/f00:latest"], &[], &['e']),
        record("dead", &["fixed.org/busybox:2"], &[], &['f']),
    ]
    .into();
    let entries = records
        .iter()
        .map(|record| {
            let details = Arc::new(Details::default());
            Entry { record: Arc::clone(record), image: Arc::new(Image::new(record, &details, &pinned)), details }
        })
        .collect();
    Snapshot::index(records, pinned, entries)
}

#[test]
fn finds_an_image_by_whatever_names_it() {
    let snapshot = snapshot();
    let registries = Registries::parse("unqualified-search-registries = [\"fixed.org\"]").unwrap();
    let cases = [
        ("busybox".to_owned(), Some("abcd")),
        ("busybox:latest".to_owned(), Some("abcd")),
        ("docker.io/library/busybox".to_owned(), Some("abcd")),
        ("docker://docker.io/library/busybox".to_owned(), Some("abcd")),
        ("quay.io/x/busybox:1".to_owned(), Some("abcd")),
        (format!("busybox@{}", digest('a')), Some("abcd")),
        (format!("quay.io/x/busybox@{}", digest('b')), Some("abcd")),
        (format!("quay.io/x/busybox:9@{}", digest('b')), Some("abcd")),
        (format!("quay.io/x/app@{}", digest('c')), Some("abce")),
        (format!("quay.io/x/old@{}", digest('d')), Some("f00d")),
        ("busybox:2".to_owned(), Some("dead")),
        ("abcd".to_owned(), Some("abcd")),
        (format!("abce{}", "0".repeat(60)), Some("abce")),
        (format!("sha256:abce{}", "0".repeat(60)), Some("abce")),
        ("sha256:dead".to_owned(), Some("dead")),
        // A name wins over a prefix of an id.
        ("f00".to_owned(), Some("beef")),
        ("f00d".to_owned(), Some("f00d")),
        ("abc".to_owned(), None),
        ("ab".to_owned(), None),
        ("ABCD".to_owned(), None),
        ("quay.io/x/busybox".to_owned(), None),
        ("quay.io/x/old:1".to_owned(), None),
        (format!("quay.io/x/busybox@{}", digest('9')), None),
        ("../../etc".to_owned(), None),
        (String::new(), None),
    ];
    for (text, expected) in cases {
        let found = snapshot.find(&text, &registries).map(|found| &found.entry.record.id.as_str()[..4]);
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn separates_tags_and_digests() {
    let snapshot = snapshot();
    let images = snapshot.images();
    assert_eq!(images[0].repo_tags, ["docker.io/library/busybox:latest", "quay.io/x/busybox:1"]);
    assert_eq!(
        images[0].repo_digests,
        [
            format!("docker.io/library/busybox@{}", digest('a')),
            format!("docker.io/library/busybox@{}", digest('b')),
            format!("quay.io/x/busybox@{}", digest('a')),
            format!("quay.io/x/busybox@{}", digest('b')),
        ]
    );
    assert!(images[1].repo_tags.is_empty());
    assert_eq!(images[1].repo_digests, [format!("quay.io/x/app@{}", digest('c'))]);
    assert_eq!(images[2].repo_digests, [format!("quay.io/x/old@{}", digest('d'))]);
    assert_eq!(images.iter().map(|image| image.pinned).collect::<Vec<_>>(), [false, false, false, true, false]);
    assert!(images.iter().all(|image| image.size_bytes > 0));
}
