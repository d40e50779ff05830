//! Registries that lie.

use super::fake::Reply;
use super::images::gzip;
use super::*;
use crate::manifest::OCI_INDEX;

fn blob_path(blob: &[u8]) -> String {
    format!("blobs/{}", Digest::of(blob))
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_not_what_was_promised() {
    let image = TestImage::layers(2);
    let blob = &image.blobs[0];
    let mut flipped = blob.clone();
    flipped[blob.len() / 2] ^= 1;
    let longer = [blob.as_slice(), b"more"].concat();
    let another = gzip(&image.tars[1]);
    let cases: [(&str, String, Vec<u8>, &str); 7] = [
        ("flipped blob", blob_path(blob), flipped, "layer"),
        ("longer blob", blob_path(blob), longer, "more than"),
        ("other blob", blob_path(blob), another, "layer"),
        ("shorter blob", blob_path(blob), blob[..blob.len() - 1].to_vec(), "broke off"),
        ("empty blob", blob_path(blob), Vec::new(), "broke off"),
        ("other configuration", blob_path(&image.config), b"{}".to_vec(), "image configuration has digest"),
        ("web page", "manifests/1".to_owned(), b"<html>log in</html>".to_vec(), "web page"),
    ];
    for (name, path, content, words) in cases {
        let registry = FakeRegistry::start().await;
        registry.serve(&image);
        registry.put(&path, Reply::ok(content));
        let (_, text) = refused(&registry).await;
        assert!(text.contains(words), "{name}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_by_digest_must_have_it() {
    let image = TestImage::layers(1);
    let registry = FakeRegistry::start().await;
    registry.serve(&image);
    let asked = Digest::of(b"something else");
    registry.put(&format!("manifests/{asked}"), Reply::ok(image.manifest.clone()));
    let (pulled, puller) = pull_from(&registry, &format!("app@{asked}")).await;
    let text = chain(&pulled.unwrap_err());
    assert!(text.contains("the manifest has digest"), "{text}");
    puller.sink().assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_contradict_each_other() {
    let image = TestImage::layers(2);
    let diffs: Vec<_> = image.tars.iter().map(|tar| Digest::of(tar).to_string()).collect();
    let config = |diffs: &[String], os: &str| {
        image.with_config(&serde_json::json!({"os": os, "rootfs": {"type": "layers", "diff_ids": diffs}}))
    };
    let size = |bytes: &[u8]| format!("\"size\":{}", bytes.len());
    let cases = [
        ("wrong diff", config(&[diffs[1].clone(), diffs[0].clone()], "linux"), "uncompressed digest"),
        ("fewer diffs", config(&diffs[..1], "linux"), "1 diffs for 2 layers"),
        ("other system", config(&diffs, "windows"), "not for linux"),
        ("size of the configuration", image.with_manifest(&size(&image.config), "\"size\":5"), "bytes instead of 5"),
        ("size of a layer", image.with_manifest(&size(&image.blobs[0]), "\"size\":5"), "more than the 5 bytes"),
        ("artifact", image.with_manifest("vnd.oci.image.config", "vnd.cncf.helm.config"), "artifact"),
        ("two things", image.with_manifest("\"layers\"", "\"manifests\":[],\"layers\""), "ambiguous"),
    ];
    for (name, changed, words) in cases {
        let registry = FakeRegistry::start().await;
        registry.serve(&changed);
        let (_, text) = refused(&registry).await;
        assert!(text.contains(words), "{name}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_that_lead_nowhere() {
    let image = TestImage::layers(1);
    let nested = String::from_utf8(image.index()).unwrap();
    let nested = nested
        .replace(&image.manifest_digest().to_string(), &Digest::of(nested.as_bytes()).to_string())
        .replace(&format!("\"size\":{}", image.manifest.len()), &format!("\"size\":{}", nested.len()));
    let nothing = String::from_utf8(image.index()).unwrap().replace("amd64", "s390x");
    for (index, kind, words) in [
        (nested, ErrorKind::Unknown, "an index within an index"),
        (nothing, ErrorKind::NotFound, "no image for linux/amd64"),
    ] {
        let registry = FakeRegistry::start().await;
        registry.serve(&image);
        registry.put("manifests/1", Reply::ok(index).with("Content-Type", OCI_INDEX));
        registry.put(&format!("manifests/{}", Digest::of(&image.index())), Reply::ok(image.index()));
        let (actual, text) = refused(&registry).await;
        assert!(text.contains(words), "{text}");
        assert_eq!(actual, kind);
        assert!(registry.requests().len() <= 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_without_measure() {
    let endless = Reply { announced: Some(1 << 30), ..Reply::ok(vec![b'['; 5 << 20]) };
    for (name, reply) in [
        ("garbage", Reply::ok(vec![0xff; 1 << 20])),
        ("deep", Reply::ok(vec![b'['; 1 << 20])),
        ("long", Reply::ok(vec![b' '; (4 << 20) + 1])),
        ("announced long", endless),
    ] {
        let registry = FakeRegistry::start().await;
        registry.put("manifests/1", reply);
        let started = std::time::Instant::now();
        let _ = refused(&registry).await;
        assert!(started.elapsed() < Duration::from_secs(3), "{name}");
        assert_eq!(registry.requests().len(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_goes_off_outside() {
    let zeros = vec![0; 64 << 20];
    for compress in [gzip as fn(&[u8]) -> Vec<u8>, |tar| zstd::encode_all(tar, 1).unwrap()] {
        let image = TestImage::of_tars(vec![zeros.clone()], |_, tar| compress(tar));
        let registry = FakeRegistry::start().await;
        registry.serve(&image);
        let (_, text) = refused(&registry).await;
        assert!(text.contains("grows beyond"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_end() {
    let registry = FakeRegistry::start().await;
    registry.rule(|request| Some(Reply::redirect(&request.path)));
    let (_, text) = refused(&registry).await;
    assert!(text.contains("more than 5 redirects"), "{text}");
    assert!(registry.requests().len() <= 6);
    for target in ["file:///etc/passwd", "http://user:secret@127.0.0.1/", "gopher://x/"] {
        let registry = FakeRegistry::start().await;
        registry.rule(move |_| Some(Reply::redirect(target)));
        let (_, text) = refused(&registry).await;
        assert!(text.contains("redirects in a way that is refused"), "{text}");
    }
}
