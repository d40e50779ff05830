//! Mirrors, short names, and configurations that cannot be meant.

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const EXAMPLE: &str = r#"
unqualified-search-registries = ["docker.io", "quay.io"]
short-name-mode = "permissive"

[[registry]]
prefix = "example.com/foo"
location = "internal.example.com/bar/"
insecure = true
[[registry.mirror]]
location = "mirror.local:5000/foo"
insecure = true
[[registry.mirror]]
location = "digests.local/foo"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "example.com/copy"
pull-from-mirror = "tag-only"

[[registry]]
location = "example.com/foo/special"

[[registry]]
prefix = "*.wild.org"
[[registry.mirror]]
location = "wild-mirror.local"

[[registry]]
prefix = "*.wild.org/app"
location = "one.local/app"

[[registry]]
location = "bad.org"
blocked = true

[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "mirror.local/hub"

[[registry]]
prefix = "cache.org"
mirror-by-digest-only = true
[[registry.mirror]]
location = "mirror.local/cache"

[[registry]]
prefix = "word.org"
location = "registry"

[aliases]
"fedora" = "registry.fedoraproject.org/fedora"
"gone" = ""
"#;

fn endpoints(text: &str) -> Vec<String> {
    let registries = Registries::parse(EXAMPLE).unwrap();
    registries
        .endpoints(&Reference::parse(text).unwrap())
        .unwrap()
        .into_iter()
        .map(|endpoint| {
            let mark = if endpoint.insecure { " insecure" } else { "" };
            let mirror = if endpoint.is_mirror { " mirror" } else { "" };
            format!("{}{mark}{mirror}", endpoint.reference)
        })
        .collect()
}

#[test]
fn orders_mirrors_before_the_registry() {
    let cases: &[(&str, &[&str])] = &[
        (
            "example.com/foo/x:1",
            &[
                "mirror.local:5000/foo/x:1 insecure mirror",
                "example.com/copy/x:1",
                "internal.example.com/bar/x:1 insecure",
            ],
        ),
        ("example.com/foo/special/x:1", &["example.com/foo/special/x:1"]),
        ("example.com/foobar:1", &["example.com/foobar:1"]),
        ("example.com/other:1", &["example.com/other:1"]),
        ("a.wild.org/x:1", &["wild-mirror.local/x:1 mirror", "a.wild.org/x:1"]),
        ("a.b.wild.org/x:1", &["wild-mirror.local/x:1 mirror", "a.b.wild.org/x:1"]),
        ("a.wild.org/app/x:1", &["one.local/app/x:1"]),
        ("a.wild.org:5000/x:1", &["a.wild.org:5000/x:1"]),
        ("wild.org/x:1", &["wild.org/x:1"]),
        ("busybox:1", &["mirror.local/hub/library/busybox:1 mirror", "docker.io/library/busybox:1"]),
        ("cache.org/x:1", &["cache.org/x:1"]),
        ("word.org/x:1", &["registry:443/x:1"]),
    ];
    for (name, expected) in cases {
        assert_eq!(endpoints(name), *expected, "{name}");
    }
    assert_eq!(
        endpoints(&format!("example.com/foo/x@sha256:{HEX}")),
        [
            format!("mirror.local:5000/foo/x@sha256:{HEX} insecure mirror"),
            format!("digests.local/foo/x@sha256:{HEX} mirror"),
            format!("internal.example.com/bar/x@sha256:{HEX} insecure"),
        ]
    );
    assert_eq!(
        endpoints(&format!("cache.org/x@sha256:{HEX}")),
        [format!("mirror.local/cache/x@sha256:{HEX} mirror"), format!("cache.org/x@sha256:{HEX}")]
    );
}

#[test]
fn a_blocked_registry_is_refused() {
    let registries = Registries::parse(EXAMPLE).unwrap();
    let error = registries.endpoints(&Reference::parse("bad.org/x").unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "registry bad.org is blocked in registries.conf");
}

fn candidates(registries: &Registries, text: &str) -> Result<Vec<String>, String> {
    registries
        .candidates(text)
        .map(|found| found.iter().map(ToString::to_string).collect())
        .map_err(|error| error.to_string())
}

#[test]
fn resolves_short_names() {
    let registries = Registries::parse(EXAMPLE).unwrap();
    let cases: &[(&str, &[&str])] = &[
        ("fedora:40", &["registry.fedoraproject.org/fedora:40"]),
        ("busybox", &["docker.io/library/busybox", "quay.io/busybox"]),
        ("gone/x:1", &["docker.io/gone/x:1", "quay.io/gone/x:1"]),
        ("ghcr.io/x:1", &["ghcr.io/x:1"]),
    ];
    for (name, expected) in cases {
        assert_eq!(candidates(&registries, name).unwrap(), *expected, "{name}");
    }
    let enforcing = registries.clone().with_short_name_mode(ShortNameMode::Enforcing);
    assert!(candidates(&enforcing, "busybox").unwrap_err().contains("ambiguous"));
    assert_eq!(candidates(&enforcing, "fedora").unwrap(), ["registry.fedoraproject.org/fedora"]);
    let bare = Registries::default();
    assert!(candidates(&bare, "busybox").unwrap_err().contains("no unqualified-search"));
    assert!(candidates(&registries, "BusyBox").is_err());
}

#[test]
fn local_names_are_tried_everywhere() {
    let registries = Registries::parse(EXAMPLE).unwrap().with_short_name_mode(ShortNameMode::Enforcing);
    let names: Vec<_> = registries.local_candidates("app:1").iter().map(ToString::to_string).collect();
    assert_eq!(names, ["localhost/app:1", "docker.io/library/app:1", "quay.io/app:1", "docker.io/library/app:1"]);
    assert!(registries.local_candidates("No Name").is_empty());
}

#[test]
fn refuses_configurations_that_cannot_be_meant() {
    for text in [
        "unqualified-search-registries = 3",
        "unqualified-search-registries = [\"https://docker.io\"]",
        "[[registry]]\ninsecure = true",
        "[[registry]]\nlocation = \"https://a.b\"",
        "[[registry]]\nlocation = \"a b\"",
        "[[registry]]\nprefix = \"a.*.org\"\nlocation = \"x.y\"",
        "[[registry]]\nprefix = \"*.\"\nlocation = \"x.y\"",
        "[[registry]]\nlocation = \"a.b\"\n[[registry.mirror]]\ninsecure = true",
        "[[registry]]\nlocation = \"a.b\"\n[[registry.mirror]]\nlocation = \"c.d\"\npull-from-mirror = \"never\"",
        "[[registry]]\nlocation = \"a.b\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"c.d\"\npull-from-mirror = \"all\"",
        "[[registry]]\nlocation = \"a.b\"\n[[registry]]\nlocation = \"a.b\"\nblocked = true",
        "[aliases]\n\"a\" = \"b\"",
        "[aliases]\n\"a:1\" = \"b.c/d\"",
        "short-name-mode = \"maybe\"",
        "[registries.search]\nregistries = [\"a.b\"]\n[[registry]]\nlocation = \"c.d\"",
    ] {
        assert!(Registries::parse(text).is_err(), "{text}");
    }
}

#[test]
fn reads_the_old_format() {
    let text = "[registries.search]\nregistries = [\"a.b\"]\n[registries.insecure]\nregistries = [\"i.j\"]\n[registries.block]\nregistries = [\"k.l\"]";
    let registries = Registries::parse(text).unwrap();
    assert_eq!(candidates(&registries, "x").unwrap(), ["a.b/x"]);
    assert!(registries.endpoints(&Reference::parse("i.j/x").unwrap()).unwrap()[0].insecure);
    assert!(registries.endpoints(&Reference::parse("k.l/x").unwrap()).is_err());
}

#[test]
fn drop_ins_are_laid_over_the_main_file() {
    let directory = tempfile::tempdir().unwrap();
    let paths = RegistriesPaths {
        main: directory.path().join("registries.conf"),
        drop_ins: directory.path().join("registries.conf.d"),
        recorded_aliases: directory.path().join("aliases.conf"),
    };
    let empty = Registries::load(&paths).unwrap();
    assert_eq!(candidates(&empty, "busybox").unwrap(), ["docker.io/library/busybox"]);

    std::fs::create_dir(&paths.drop_ins).unwrap();
    std::fs::write(&paths.main, EXAMPLE).unwrap();
    std::fs::write(paths.drop_ins.join("10-a.conf"), "[[registry]]\nlocation = \"bad.org\"\n[aliases]\nfedora = \"\"")
        .unwrap();
    std::fs::write(paths.drop_ins.join("20-b.conf"), "unqualified-search-registries = [\"only.org\"]").unwrap();
    std::fs::write(paths.drop_ins.join("30-c.txt"), "this is not TOML").unwrap();
    std::fs::write(&paths.recorded_aliases, "[aliases]\nmine = \"only.org/yours\"").unwrap();
    let merged = Registries::load(&paths).unwrap();
    assert!(merged.endpoints(&Reference::parse("bad.org/x").unwrap()).is_ok());
    assert_eq!(candidates(&merged, "fedora").unwrap(), ["only.org/fedora"]);
    assert_eq!(candidates(&merged, "mine:2").unwrap(), ["only.org/yours:2"]);

    std::fs::write(paths.drop_ins.join("40-d.conf"), "this is not TOML").unwrap();
    assert!(Registries::load(&paths).unwrap_err().to_string().contains("40-d.conf"));
}
