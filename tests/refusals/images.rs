//! Images that are not there, not ours to have, or not what they claim to be.

use anyhow::Result;
use crio_cri_api::v1::{AuthConfig, PullImageRequest};
use crio_testkit::image::{Compression, Format, Layer};
use crio_testkit::request::{self, image_spec};
use crio_testkit::{Image, Options, Registry};
use crio_tests::hostile::{Answer, Answers, HostileRegistry, honest};
use crio_tests::images::{self, Forged, blob, tar, tar_entry};
use crio_tests::{Stage, refused};
use serde_json::json;
use tonic::Code;

/// One way to be lied to: the repository, what changes about honest answers, and what the client must hear.
struct Lie {
    name: &'static str,
    answers: Answers,
    code: Code,
    words: Vec<String>,
}

fn image() -> Forged {
    Forged::of_tar(tar(&[tar_entry(b'0', "content", "", &[7; 100_000])]))
}

fn manifest_path(name: &str) -> String {
    format!("/v2/{name}/manifests/1")
}

/// Replaces the answer of one path of honest answers.
fn but(name: &'static str, image: &Image, path: &str, answer: Answer) -> Answers {
    let mut answers = honest(image, name, "1");
    answers.insert(path.to_owned(), answer);
    answers
}

fn layers() -> Vec<Lie> {
    let image = image().image();
    let layer = &image.blobs[0];
    let path = |name: &str| format!("/v2/{name}/blobs/{}", layer.digest);
    let mut other = layer.clone();
    other.bytes[600] ^= 1;
    let mut longer = layer.clone();
    longer.bytes.extend_from_slice(&[0; 512]);
    let digest = vec![layer.digest.clone()];
    vec![
        Lie {
            name: "changed",
            answers: but("changed", &image, &path("changed"), Answer::Whole(other)),
            code: Code::Unknown,
            words: digest.clone(),
        },
        Lie {
            name: "cut",
            answers: but("cut", &image, &path("cut"), Answer::Cut(layer.clone(), 50_000)),
            code: Code::Unknown,
            words: digest.clone(),
        },
        Lie {
            name: "longer",
            answers: but("longer", &image, &path("longer"), Answer::Whole(longer)),
            code: Code::ResourceExhausted,
            words: digest.clone(),
        },
        Lie {
            name: "missing",
            answers: but("missing", &image, &path("missing"), Answer::Status(404, "{}".to_owned())),
            code: Code::Unknown,
            words: digest,
        },
    ]
}

fn documents() -> Vec<Lie> {
    let image = image().image();
    let manifest = |name: &'static str, text: &str, code, words: &[&str]| {
        let document = blob("application/vnd.oci.image.manifest.v1+json", text.as_bytes().to_vec());
        Lie {
            name,
            answers: but(name, &image, &manifest_path(name), Answer::Whole(document)),
            code,
            words: words.iter().map(|&word| word.to_owned()).collect(),
        }
    };
    let mut forged = self::image();
    forged.config["rootfs"]["diff_ids"] = json!([format!("sha256:{}", "0".repeat(64))]);
    let wrong_diff = forged.image();
    let mut forged = self::image();
    forged.config["rootfs"]["diff_ids"] = json!([]);
    let no_diff = forged.image();
    let config = image.blobs.last().cloned().unwrap_or_else(|| image.root.clone());
    let mut other = config.clone();
    other.bytes.push(b' ');
    let deep = "[".repeat(100_000);
    vec![
        manifest("empty", "", Code::Unknown, &["manifest"]),
        manifest("garbage", "{\"schemaVersion\":2,", Code::Unknown, &["manifest"]),
        manifest("nothing", "{}", Code::Unknown, &["manifest"]),
        manifest("deep", &deep, Code::Unknown, &["manifest"]),
        manifest(
            "negative",
            &String::from_utf8_lossy(&image.root.bytes).replace("\"size\":", "\"size\":-"),
            Code::Unknown,
            &["manifest"],
        ),
        manifest("huge", &" ".repeat(9 << 20), Code::ResourceExhausted, &["bytes"]),
        Lie {
            name: "diff",
            answers: honest(&wrong_diff, "diff", "1"),
            code: Code::Unknown,
            words: vec!["uncompressed digest".to_owned()],
        },
        Lie { name: "few", answers: honest(&no_diff, "few", "1"), code: Code::Unknown, words: vec![] },
        Lie {
            name: "config",
            answers: but("config", &image, &format!("/v2/config/blobs/{}", config.digest), Answer::Whole(other)),
            code: Code::Unknown,
            words: vec!["configuration".to_owned()],
        },
        Lie {
            name: "error",
            answers: but("error", &image, &manifest_path("error"), Answer::Status(500, "on fire".to_owned())),
            code: Code::Unknown,
            words: vec!["RegistryUnavailable".to_owned(), "500".to_owned()],
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_it_claims_leaves_nothing() -> Result<()> {
    let lies: Vec<Lie> = layers().into_iter().chain(documents()).collect();
    let answers = lies.iter().flat_map(|lie| lie.answers.clone()).collect();
    let registry = HostileRegistry::start(answers).await?;
    let stage = Stage::set_with(Options { insecure_registries: vec![registry.host()], ..Options::default() }).await?;
    let before = stage.stored()?;
    let mut wrong = Vec::new();
    for lie in &lies {
        let name = format!("{}/{}:1", registry.host(), lie.name);
        let words: Vec<&str> = lie.words.iter().map(String::as_str).chain([lie.name]).collect();
        if let Err(error) = refused(stage.cri.pull(&name).await, lie.code, &words) {
            wrong.push(format!("{}: {error}", lie.name));
        }
        assert_eq!(stage.stored()?, before, "{}", lie.name);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_whose_proc_leads_elsewhere_is_not_run() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("links").await?;
    for (name, target) in [("proc", "/tmp"), ("sys", "/"), ("dev", "../../../../tmp")] {
        let layer = Layer::new().symlink(&format!("/{name}"), target);
        let image = images::with_shell()?.layer(layer, Compression::Gzip).build()?;
        let image = stage.registry.push(&image, &format!("link-{name}:1")).await?;
        stage.cri.pull(&image).await?;
        let config = request::shell(name, &image, "true");
        let answer = stage.cri.create(&pod.id, &pod.config, &config).await;
        refused(answer, Code::InvalidArgument, &[&format!("/{name} of the image is not a directory")])?;
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_is_a_promise() -> Result<()> {
    let honest_image = image().image();
    let mut answers = honest(&honest_image, "promise", "1");
    let other = images::small(Format::Oci, Compression::None, "other")?;
    let path = format!("/v2/promise/manifests/{}", honest_image.root.digest);
    answers.insert(path, Answer::Whole(other.root.clone()));
    let registry = HostileRegistry::start(answers).await?;
    let stage = Stage::set_with(Options { insecure_registries: vec![registry.host()], ..Options::default() }).await?;
    let name = format!("{}/promise@{}", registry.host(), honest_image.root.digest);
    let pulled = stage.cri.pull(&name).await;
    refused(pulled, Code::Unknown, &[&honest_image.root.digest, &other.root.digest])?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found() -> Result<()> {
    let stage = Stage::set_with(Options {
        registries_conf: "[[registry]]\nlocation = \"blocked.invalid\"\nblocked = true\n".to_owned(),
        insecure_registries: vec!["127.0.0.1:1".to_owned()],
        ..Options::default()
    })
    .await?;
    let unknown = stage.registry.name("no/such/image:1");
    refused(stage.cri.pull(&unknown).await, Code::NotFound, &[&unknown])?;
    let tag = stage.registry.name("library/busybox:no-such-tag");
    refused(stage.cri.pull(&tag).await, Code::NotFound, &[&tag])?;
    let digest = stage.registry.name(&format!("library/busybox@sha256:{}", "1".repeat(64)));
    refused(stage.cri.pull(&digest).await, Code::NotFound, &[&digest])?;
    refused(stage.cri.pull("blocked.invalid/image:1").await, Code::PermissionDenied, &["blocked"])?;
    let nobody = stage.cri.pull("127.0.0.1:1/image:1").await;
    refused(nobody, Code::Unknown, &["127.0.0.1:1/image:1"])?;
    let message = stage.cri.pull("127.0.0.1:1/image:1").await.map_err(|status| status.message().to_owned());
    assert!(message.as_ref().is_err_and(|text| text.starts_with("RegistryUnavailable")), "{message:?}");
    for bad in ["UPPER/CASE", "a b", "image@sha256:zz", "image:", "/", "image:tag:tag", &"a/".repeat(200)] {
        let pulled = stage.cri.pull(bad).await;
        assert!(pulled.as_ref().is_err_and(|status| status.code() == Code::InvalidArgument), "{bad}: {pulled:?}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_from_a_missing_image() -> Result<()> {
    let private = Registry::start_with_password("me", "secret").await?;
    let image = images::small(Format::Oci, Compression::Gzip, "private")?;
    let name = private.push(&image, "private/image:1").await?;
    let stage = Stage::set_with(Options { insecure_registries: vec![private.host()], ..Options::default() }).await?;
    refused(stage.cri.pull(&name).await, Code::PermissionDenied, &[&name, "requires authentication"])?;
    let request = PullImageRequest {
        image: Some(image_spec(&name)),
        auth: Some(AuthConfig {
            username: "me".to_owned(),
            password: "guessed-wrong".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let pulled = stage.cri.image().pull_image(request).await;
    refused(pulled, Code::PermissionDenied, &[&name, "does not accept the credentials"])?;
    assert!(!stage.node.log().contains("guessed-wrong"), "secrets are not logged");
    stage.close().await
}
