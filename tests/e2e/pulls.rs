//! Pulls: every format, from every kind of place, and only what was asked for is left.

use std::time::Duration;

use anyhow::Result;
use crio_cri_api::v1::{AuthConfig, ListImagesRequest, PullImageRequest};
use crio_testkit::image::{Compression, Format, ImageBuilder, Layer};
use crio_testkit::request::{self, image_spec};
use crio_testkit::{Image, Options, Registry};
use crio_tests::hostile::{Answer, HostileRegistry, honest};
use crio_tests::{Stage, images, until};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn every_format_and_compression_runs() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("formats").await?;
    let formats = [
        (Format::Oci, Compression::Gzip),
        (Format::Oci, Compression::Zstd),
        (Format::Oci, Compression::None),
        (Format::Docker, Compression::Gzip),
    ];
    for (number, (format, compression)) in formats.into_iter().enumerate() {
        let files = Layer::new().file("/word", 0o644, format!("{format:?} {compression:?}\n"));
        let image =
            ImageBuilder::new(format).layer(images::programs()?, compression).layer(files, compression).build()?;
        let name = stage.registry.push(&image, &format!("formats:{number}")).await?;
        assert_eq!(stage.cri.pull(&name).await?, image.id);
        let config = request::container(&format!("c{number}"), &name, &["/bin/cat", "/word"]);
        let ended = stage.finish(&pod, &config).await?;
        assert_eq!(ended.stdout, format!("{format:?} {compression:?}\n"));
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_index_this_machines_image_is_taken() -> Result<()> {
    let stage = Stage::set().await?;
    for (name, format) in [("oci", Format::Oci), ("docker", Format::Docker)] {
        let ours = images::small(format, Compression::Gzip, "ours")?;
        let other = ImageBuilder::new(format)
            .architecture("s390x")
            .layer(Layer::new().file("/content", 0o644, "other"), Compression::Gzip)
            .build()?;
        let architecture = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
        let index = Image::index(format, &[("linux/s390x", other), (architecture, ours.clone())])?;
        let name = stage.registry.push(&index, &format!("index/{name}:1")).await?;
        assert_eq!(stage.cri.pull(&name).await?, ours.id);
        let by_digest = format!("{}@{}", name.trim_end_matches(":1"), index.root.digest);
        assert_eq!(stage.cri.pull(&by_digest).await?, ours.id);
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_hide_and_replace_what_is_below() -> Result<()> {
    let stage = Stage::set().await?;
    let below = Layer::new()
        .file("/a/kept", 0o644, "kept")
        .file("/a/removed", 0o644, "removed")
        .file("/b/hidden", 0o644, "hidden")
        .file("/c", 0o644, "old");
    let above = Layer::new()
        .whiteout("/a/removed")
        .opaque("/b")
        .file("/b/new", 0o644, "new")
        .file("/c", 0o4711, "new")
        .owned_by(1000, 2000)
        .symlink("/d", "a/kept");
    let image = images::with_shell()?.layer(below, Compression::Gzip).layer(above, Compression::Zstd).build()?;
    let name = stage.registry.push(&image, "layers:1").await?;
    stage.cri.pull(&name).await?;
    let pod = stage.pod("layers").await?;
    let script = "ls /a /b; cat /c /d; echo; ls -ln /c";
    let said = stage.finish(&pod, &request::shell("main", &name, script)).await?.stdout;
    assert!(said.starts_with("/a:\nkept\n\n/b:\nnew\nnewkept\n-rws--x--x"), "{said}");
    assert!(said.contains("1000     2000"), "{said}");
    stage.close().await
}

async fn pull_with(stage: &Stage, name: &str, auth: AuthConfig) -> Result<String, tonic::Status> {
    let request = PullImageRequest { image: Some(image_spec(name)), auth: Some(auth), ..Default::default() };
    Ok(stage.cri.image().pull_image(request).await?.into_inner().image_ref)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_opens_a_private_registry() -> Result<()> {
    let private = Registry::start_with_password("me", "secret").await?;
    let image = images::small(Format::Oci, Compression::Gzip, "private")?;
    let name = private.push(&image, "private/image:1").await?;
    let stage = Stage::set_with(Options { insecure_registries: vec![private.host()], ..Options::default() }).await?;
    let auth = AuthConfig { username: "me".to_owned(), password: "secret".to_owned(), ..Default::default() };
    assert_eq!(pull_with(&stage, &name, auth).await?, image.id);
    let auth = AuthConfig { auth: "bWU6c2VjcmV0".to_owned(), ..Default::default() };
    assert_eq!(pull_with(&stage, &name, auth).await?, image.id, "as kubelet may send it");
    assert!(
        !stage.node.log().contains("secret") && !stage.node.log().contains("bWU6c2VjcmV0"),
        "secrets are not logged"
    );
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_stands_in_for_its_registry() -> Result<()> {
    let mirror = Registry::start().await?;
    let image = images::small(Format::Oci, Compression::Gzip, "mirrored")?;
    mirror.push(&image, "copy/of/image:1").await?;
    let registries = format!(
        "[[registry]]\nprefix = \"registry.invalid/some\"\nlocation = \"registry.invalid/some\"\n\
         [[registry.mirror]]\nlocation = \"127.0.0.1:1/nobody\"\ninsecure = true\n\
         [[registry.mirror]]\nlocation = \"{}/copy/of\"\ninsecure = true\n",
        mirror.host()
    );
    let stage = Stage::set_with(Options { registries_conf: registries, ..Options::default() }).await?;
    let name = "registry.invalid/some/image:1";
    assert_eq!(stage.cri.pull(name).await?, image.id);
    let listed = stage.cri.image().list_images(ListImagesRequest::default()).await?.into_inner().images;
    assert!(listed.iter().any(|image| image.repo_tags == [name]), "the name is the one asked for: {listed:?}");
    stage.close().await
}

/// A large image at a registry that hands it out slowly.
async fn slow(pause: Duration) -> Result<(Image, HostileRegistry)> {
    let image = images::large(2 << 20)?;
    let mut answers = honest(&image, "slow", "1");
    let path = format!("/v2/slow/blobs/{}", image.blobs[0].digest);
    answers.insert(path, Answer::Slow(image.blobs[0].clone(), pause));
    let registry = HostileRegistry::start(answers).await?;
    Ok((image, registry))
}

#[tokio::test(flavor = "multi_thread")]
async fn identical_pulls_at_once_are_one() -> Result<()> {
    let (image, registry) = slow(Duration::from_millis(20)).await?;
    let stage = Stage::set_with(Options { insecure_registries: vec![registry.host()], ..Options::default() }).await?;
    let name = format!("{}/slow:1", registry.host());
    let mut pulls = JoinSet::new();
    for _ in 0..5 {
        let (cri, name) = (stage.cri.clone(), name.clone());
        pulls.spawn(async move { cri.pull(&name).await });
    }
    for pulled in pulls.join_all().await {
        assert_eq!(pulled?, image.id);
    }
    assert_eq!(registry.requests(&image.blobs[0].digest).len(), 1, "the layer is fetched once");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_pull_leaves_nothing() -> Result<()> {
    let (image, registry) = slow(Duration::from_millis(100)).await?;
    let stage = Stage::set_with(Options { insecure_registries: vec![registry.host()], ..Options::default() }).await?;
    let name = format!("{}/slow:1", registry.host());
    let before = stage.stored()?;
    for _ in 0..2 {
        let pull = stage.cri.pull(&name);
        assert!(tokio::time::timeout(Duration::from_millis(400), pull).await.is_err());
    }
    until("the store is as before", async || Ok((stage.stored()? == before).then_some(()))).await?;
    assert_eq!(stage.cri.pull(&name).await?, image.id, "and it can be pulled after all");
    stage.close().await
}
