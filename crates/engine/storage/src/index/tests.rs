//! Tables seen by two users of the same files.

use std::fs;

use super::*;

#[derive(Debug, PartialEq)]
struct Pet {
    id: String,
    legs: u64,
}

impl Row for Pet {
    fn from_object(object: &Object) -> Option<Self> {
        let id = object.get("id")?.as_str()?.to_owned();
        Some(Self { id, legs: object.get("legs")?.as_u64()? })
    }

    fn key(&self) -> &str {
        &self.id
    }
}

struct Fixture {
    directory: tempfile::TempDir,
    ours: Table<Pet>,
    theirs: Table<Pet>,
}

fn table(directory: &std::path::Path) -> Table<Pet> {
    let file = |name: &str, durability| TableFile { path: directory.join(name), durability };
    let files = vec![file("pets.json", Durability::Durable), file("volatile-pets.json", Durability::Volatile)];
    Table::new(directory.join("pets.lock"), Duration::from_millis(100), files)
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let (ours, theirs) = (table(directory.path()), table(directory.path()));
    Fixture { directory, ours, theirs }
}

fn object(text: &str) -> Object {
    serde_json::from_str(text).unwrap()
}

#[test]
fn others_see_what_was_written() {
    let fixture = fixture();
    assert!(fixture.theirs.read().unwrap().rows.is_empty());
    let add = |file, text: &str| {
        fixture.ours.write::<_, TableError>(|edit| Ok(edit.add(file, &object(text)).is_some())).unwrap()
    };
    assert!(add(0, r#"{"id":"cat","legs":4}"#));
    assert!(add(1, r#"{"id":"hen","legs":2}"#));
    assert!(!add(0, r#"{"id":"worm"}"#));
    let seen = fixture.theirs.read().unwrap();
    assert_eq!(seen.rows.len(), 2);
    assert_eq!(seen.get("hen").unwrap().legs, 2);
    assert_eq!(fs::read_to_string(fixture.directory.path().join("pets.json")).unwrap(), r#"[{"id":"cat","legs":4}]"#);
    assert!(Arc::ptr_eq(&seen, &fixture.theirs.read().unwrap()));
}

#[test]
fn unknown_fields_and_rows_survive() {
    let fixture = fixture();
    let path = fixture.directory.path().join("pets.json");
    let strange = r#"{"who":"knows"}"#;
    fs::write(&path, format!(r#"[{{"id":"cat","legs":4,"new":{{"x":[1, 2]}}}},{strange},{{"id":"dog","legs":4}}]"#))
        .unwrap();
    let changed = fixture.ours.write::<_, TableError>(|edit| {
        edit.remove("dog").unwrap();
        Ok(edit.update("cat", |cat| {
            cat.insert("legs".into(), 3.into());
        }))
    });
    assert_eq!(changed.unwrap().unwrap().legs, 3);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!(r#"[{{"id":"cat","legs":3,"new":{{"x":[1,2]}}}},{strange}]"#));
}

#[test]
fn a_refused_change_writes_nothing() {
    let fixture = fixture();
    let refused = fixture.ours.write::<(), TableError>(|edit| {
        edit.add(0, &object(r#"{"id":"cat","legs":4}"#));
        Err(TableError::Read { path: "x".into(), source: std::io::ErrorKind::Other.into() })
    });
    assert!(refused.is_err());
    assert!(fixture.ours.read().unwrap().rows.is_empty());
    assert!(!fixture.directory.path().join("pets.json").exists());
}

#[test]
fn a_lock_that_is_held_times_out_and_a_broken_file_is_named() {
    let fixture = fixture();
    let refused = fixture.ours.write::<(), TableError>(|_| fixture.theirs.write::<(), TableError>(|_| Ok(())));
    assert!(matches!(refused, Err(TableError::Lock { source, .. }) if source.kind() == std::io::ErrorKind::TimedOut));
    for (text, fine) in [("", true), ("null", true), ("[]", true), ("[", false), ("{}", false)] {
        fs::write(fixture.directory.path().join("pets.json"), text).unwrap();
        assert_eq!(table(fixture.directory.path()).read().is_ok(), fine, "{text:?}");
    }
}
