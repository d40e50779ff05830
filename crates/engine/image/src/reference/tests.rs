//! Names that are normalised, and names that are refused.

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn check(text: &str, expected: Option<&str>) {
    let parsed = Reference::parse(text).ok().map(|reference| reference.to_string());
    assert_eq!(parsed.as_deref(), expected, "{text:?}");
}

#[test]
fn normalises_names() {
    for (text, expected) in [
        ("busybox", "docker.io/library/busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("user/app", "docker.io/user/app"),
        ("docker.io/busybox", "docker.io/library/busybox"),
        ("index.docker.io/busybox", "docker.io/library/busybox"),
        ("docker://busybox:a", "docker.io/library/busybox:a"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("registry.k8s.io/pause:3.10.1", "registry.k8s.io/pause:3.10.1"),
        ("Registry/app", "Registry/app"),
        ("quay.io/a/b/c-d_e__f.g:T_1.2-3", "quay.io/a/b/c-d_e__f.g:T_1.2-3"),
        ("quay.io/a/b---c", "quay.io/a/b---c"),
        ("[::1]:5000/app", "[::1]:5000/app"),
        ("[fe80::1]/app", "[fe80::1]/app"),
        ("127.0.0.1:5000/app", "127.0.0.1:5000/app"),
    ] {
        check(text, Some(expected));
    }
    check(&format!("busybox:1@sha256:{HEX}"), Some(&format!("docker.io/library/busybox:1@sha256:{HEX}")));
    check(&format!("quay.io/a/b@sha256:{HEX}"), Some(&format!("quay.io/a/b@sha256:{HEX}")));
}

#[test]
fn refuses_what_the_grammar_refuses() {
    for text in [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ":tag",
        "a:",
        "a:-t",
        "a: t",
        "a b",
        "quay.io/A",
        "quay.io/a/../b",
        "quay.io/a/.b",
        "quay.io/a/b.",
        "quay.io/a..b",
        "quay.io/a___b",
        "quay.io/a._b",
        "quay.io:99999/a",
        "quay.io:x/a",
        "-quay.io/a",
        "quay..io/a",
        "[::1/a",
        "[zz]/a",
        "[::1]:+000/x",
        "host:+5/x",
        "user@quay.io/a",
        "quay.io/a?b",
        "quay.io/a%2fb",
        "quay.io/a#b",
        "quay.io/é",
        "a@sha256:00",
        "a@md5:00",
        "a\n",
        HEX,
    ] {
        check(text, None);
    }
    check(&format!("quay.io/{}", "a".repeat(247)), Some(&format!("quay.io/{}", "a".repeat(247))));
    check(&format!("quay.io/{}", "a".repeat(248)), None);
    check(&format!("quay.io/a:{}", "t".repeat(128)), Some(&format!("quay.io/a:{}", "t".repeat(128))));
    check(&format!("quay.io/a:{}", "t".repeat(129)), None);
    check(&format!("a@sha256:{HEX}@sha256:{HEX}"), None);
    check(&"a/".repeat(10_000), None);
}

#[test]
fn a_name_parses_back_from_its_text() {
    for text in ["busybox", "localhost:5000/a/b:c", "[::1]/x:y"] {
        let reference = Reference::parse(text).unwrap();
        assert_eq!(Reference::parse(&reference.to_string()).unwrap(), reference);
    }
}

#[test]
fn pins_down_what_is_fetched() {
    for (text, expected, version) in [
        ("busybox".to_owned(), "docker.io/library/busybox:latest".to_owned(), "latest".to_owned()),
        ("busybox:1".to_owned(), "docker.io/library/busybox:1".to_owned(), "1".to_owned()),
        (format!("busybox:1@sha256:{HEX}"), format!("docker.io/library/busybox@sha256:{HEX}"), format!("sha256:{HEX}")),
    ] {
        let pinned = Reference::parse(&text).unwrap().pinned_down();
        assert_eq!(pinned.to_string(), expected);
        assert_eq!(pinned.version(), version);
    }
}

#[test]
fn knows_short_names() {
    for (text, short) in [
        ("busybox", true),
        ("user/busybox:1", true),
        ("docker://busybox", true),
        ("docker.io/busybox", false),
        ("localhost/busybox", false),
        ("host:5000/busybox", false),
    ] {
        assert_eq!(is_short(text), short, "{text}");
    }
}
