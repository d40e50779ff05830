//! Documents that are accepted, refused, and chosen from.

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn config() -> String {
    format!(r#"{{"mediaType":"{OCI_CONFIG}","digest":"sha256:{HEX}","size":10}}"#)
}

fn layer() -> String {
    format!(r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:{HEX}","size":10}}"#)
}

fn entry(platform: &str, size: u64, annotations: &str) -> String {
    let mut parts = platform.split('/');
    let (os, architecture, variant) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or(""));
    format!(
        r#"{{"mediaType":"{OCI_MANIFEST}","digest":"sha256:{HEX}","size":{size},"annotations":{annotations},"platform":{{"os":"{os}","architecture":"{architecture}","variant":"{variant}"}}}}"#
    )
}

fn parse(text: &str) -> Result<Document, ManifestError> {
    Document::parse(text.as_bytes(), None)
}

#[test]
fn reads_manifests() {
    let (config, layer) = (config(), layer());
    for (text, content_type, media_type) in [
        (format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]}}"#), None, OCI_MANIFEST),
        (
            format!(r#"{{"schemaVersion":2,"mediaType":"","config":{config},"layers":[{layer}],"annotations":null}}"#),
            Some("application/vnd.docker.distribution.manifest.v2+json; charset=utf-8"),
            OCI_MANIFEST,
        ),
        (
            format!(
                r#"{{"schemaVersion":2,"config":{},"layers":[{layer}]}}"#,
                config.replace(OCI_CONFIG, DOCKER_CONFIG)
            ),
            None,
            DOCKER_MANIFEST,
        ),
        (
            format!(
                r#"{{"schemaVersion":2,"mediaType":"{DOCKER_MANIFEST}","config":{config},"layers":[{layer}],"future":[1]}}"#
            ),
            Some(OCI_MANIFEST),
            DOCKER_MANIFEST,
        ),
    ] {
        let Document::Manifest(manifest) = Document::parse(text.as_bytes(), content_type).unwrap() else {
            panic!("{text}");
        };
        assert_eq!(manifest.media_type, media_type, "{text}");
        assert_eq!(manifest.layers.len(), 1);
    }
}

#[test]
fn refuses_what_is_not_one_thing() {
    let (config, layer) = (config(), layer());
    let entry = entry("linux/amd64", 10, "{}");
    let manifest = |rest: &str| format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]{rest}}}"#);
    for text in [
        manifest(&format!(r#","manifests":[{entry}]"#)),
        manifest(&format!(r#","mediaType":"{OCI_INDEX}""#)),
        manifest(r#","mediaType":"text/html""#),
        manifest(&format!(r#","layers":[{layer}]"#)),
        manifest(&format!(r#","config":{config}"#)),
        manifest(r#","fsLayers":[]"#),
        manifest(r#","history":[]"#),
        format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","manifests":[{entry}]}}"#),
        format!(r#"{{"schemaVersion":2,"manifests":[{entry}],"layers":[{layer}]}}"#),
        format!(r#"{{"schemaVersion":1,"config":{config},"layers":[{layer}]}}"#),
        format!(r#"{{"schemaVersion":3,"config":{config},"layers":[{layer}]}}"#),
        format!(r#"{{"config":{config},"layers":[{layer}]}}"#),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#),
        format!(r#"{{"schemaVersion":2,"config":{config}}}"#),
        format!(r#"{{"schemaVersion":2,"layers":[{layer}]}}"#),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, layer.replace(":10", ":-1")),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, layer.replace(":10", ":1.5")),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, layer.replace("sha256:e", "sha256:../e")),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, layer.replace("gzip", "gzip+encrypted")),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, layer.replace(":10", ":99999999999999")),
        format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{layer}]}}"#,
            config.replace(OCI_CONFIG, "application/vnd.cncf.helm.config.v1+json")
        ),
        format!(r#"{{"schemaVersion":2,"config":{},"layers":[{layer}]}}"#, config.replace(":10", ":4194305")),
        format!(
            r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#,
            vec![layer.clone(); MAX_LAYERS + 1].join(",")
        ),
        format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, vec![entry.clone(); MAX_INDEX_ENTRIES + 1].join(",")),
        "<!DOCTYPE html>".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        String::new(),
        "[".repeat(1 << 20),
        format!(r#"{{"x":{}"#, "[".repeat(1 << 20)),
        "\u{0}".repeat(1 << 20),
    ] {
        let refused = parse(&text);
        assert!(refused.is_err(), "{}", text.chars().take(200).collect::<String>());
    }
}

fn chosen(entries: &[String], platform: &str) -> Result<u64, ManifestError> {
    let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
    let Document::Index(index) = parse(&text).unwrap() else {
        panic!("{text}");
    };
    let mut parts = platform.split('/').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    let platform = Platform { os: next(), architecture: next(), variant: next() };
    choose(&index, &platform).map(|entry| entry.size)
}

#[test]
fn chooses_by_platform() {
    let all = [
        entry("unknown/unknown", 1, "null"),
        entry("linux/arm64/v8", 2, "{}"),
        entry("linux/amd64", 3, "{}"),
        entry("linux/amd64/v3", 4, "{}"),
        entry("linux/amd64", 5, "{}"),
        entry("windows/amd64", 6, "{}"),
        entry("linux/arm/v6", 7, "{}"),
        entry("linux/arm/v7", 8, "{}"),
        entry("linux/amd64", 9, &format!(r#"{{"{}":"true"}}"#, "io.github.containers.compression.zstd")),
    ];
    for (platform, expected) in [
        ("linux/amd64", Ok(9)),
        ("linux/arm64", Ok(2)),
        ("linux/arm/v7", Ok(8)),
        ("linux/arm/v6", Ok(7)),
        ("linux/s390x", Err(())),
    ] {
        assert_eq!(chosen(&all, platform).map_err(|_| ()), expected, "{platform}");
    }
    assert_eq!(chosen(&all[2..5], "linux/amd64"), Ok(3));
    assert!(chosen(&[], "linux/amd64").is_err());
    let bare = format!(r#"{{"mediaType":"{OCI_MANIFEST}","digest":"sha256:{HEX}","size":7}}"#);
    assert_eq!(chosen(std::slice::from_ref(&bare), "linux/amd64"), Ok(7));
    assert!(chosen(&[bare.clone(), bare], "linux/amd64").is_err());
}
