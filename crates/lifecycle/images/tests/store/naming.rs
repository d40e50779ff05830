//! What images are called, and by which names they are found.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use crio_images::{Config, ImageUser};
use crio_testkit::Registry;
use crio_testkit::image::{Format, Image};

use crate::world::{World, builder, image, spec};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_the_same_by_every_name() -> Result<()> {
    let world = World::new().await?;
    let built = image("one")?;
    let name = world.registry.push(&built, "ns/app:1").await?;
    let id = world.pull(&name).await?;
    assert_eq!(id.as_str(), built.id);
    let digest = format!("{}@{}", world.registry.name("ns/app"), built.root.digest);
    let listed = world.images.list(None).await?;
    assert_eq!(listed.len(), 1);
    let expected = &listed[0];
    assert_eq!(expected.id, id);
    assert_eq!(expected.repo_tags, std::slice::from_ref(&name));
    assert_eq!(expected.repo_digests, std::slice::from_ref(&digest));
    assert_eq!(expected.user, Some(ImageUser::Uid(1003)));
    assert_eq!(expected.labels.get("a").map(String::as_str), Some("b"));
    assert!(expected.size_bytes > 8000, "{}", expected.size_bytes);
    let full = format!("sha256:{id}");
    for reference in [name.as_str(), &digest, id.as_str(), &full, &id.as_str()[..3], &id.as_str()[..20]] {
        assert_eq!(world.images.status(reference).await?.as_ref(), Some(expected), "{reference}");
        assert_eq!(world.images.list(Some(reference)).await?, listed, "{reference}");
    }
    let resolved = world.images.prepare(&spec(id.as_str())).await?;
    assert_eq!((resolved.name.as_str(), resolved.image_ref.as_str()), (name.as_str(), digest.as_str()));
    let parameters = resolved.config.config().clone().context("parameters")?;
    assert_eq!(parameters.cmd().clone(), Some(vec!["/bin/sh".to_owned()]));
    assert!(world.images.prepare(&spec("no.such/image:1")).await.is_err());
    assert_eq!(
        world.images.config_json(&id).await?.as_deref(),
        Some(built.blobs.last().context("config")?.bytes.as_slice())
    );
    assert!(world.images.filesystem_usage().await.unwrap().images.used_bytes > 8000);
    let counted = async || {
        while world.images.filesystem_usage().await.unwrap().images.inodes_used == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = world.images.count_inodes() => unreachable!("it never ends"),
        waited = tokio::time::timeout(std::time::Duration::from_secs(20), counted()) => waited?,
    }
    world.images.remove(id.as_str()).await?;
    assert_eq!(world.images.status(&name).await?, None);
    world.images.remove(id.as_str()).await?;
    world.assert_empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_come_and_go() -> Result<()> {
    let world = World::new().await?;
    let built = image("one")?;
    let mut names = Vec::new();
    for tag in ["app:1", "app:2", "other:latest"] {
        let name = world.registry.push(&built, tag).await?;
        assert_eq!(world.pull(&name).await?.as_str(), built.id);
        names.push(name);
    }
    let untagged = world.registry.name("other");
    let status = world.images.status(&untagged).await?.context("the image without its tag")?;
    assert_eq!(status.repo_tags.iter().collect::<BTreeSet<_>>(), names.iter().collect());
    assert_eq!(status.repo_digests.len(), 2);

    world.images.remove(&names[0]).await?;
    assert_eq!(world.images.status(&names[0]).await?, None);
    let status = world.images.status(&built.id).await?.context("the image with two tags")?;
    assert_eq!(status.repo_tags.len(), 2);

    // A tag that moves takes its name from the image that had it.
    let newer = image("two")?;
    world.registry.push(&newer, "app:2").await?;
    assert_eq!(world.pull(&names[1]).await?.as_str(), newer.id);
    let status = world.images.status(&built.id).await?.context("the image with one tag")?;
    assert_eq!(status.repo_tags, [names[2].clone()]);

    world.images.remove(&names[2]).await?;
    assert_eq!(world.images.status(&built.id).await?, None);
    // The base layer is shared and stays.
    assert_eq!(world.images.list(None).await?.len(), 1);
    world.images.remove(&names[1]).await?;
    world.assert_empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_by_digest_makes_no_tag() -> Result<()> {
    let world = World::new().await?;
    let built = image("one")?;
    world.registry.push(&built, "app:1").await?;
    let digest = format!("{}@{}", world.registry.name("app"), built.root.digest);
    let with_tag = format!("{}:9@{}", world.registry.name("app"), built.root.digest);
    for name in [&digest, &with_tag] {
        let id = world.pull(name).await?;
        let status = world.images.status(&digest).await?.context("the image")?;
        assert!(status.repo_tags.is_empty());
        assert_eq!(status.repo_digests, std::slice::from_ref(&digest));
        assert_eq!(status.image_ref(), digest);
        assert_eq!(world.images.status(id.as_str()).await?, Some(status));
    }
    world.images.remove(&digest).await?;
    world.assert_empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_kept_beside_the_manifest() -> Result<()> {
    let world = World::new().await?;
    let (built, foreign) = (image("one")?, builder("two").architecture("s390x").build()?);
    let host = crio_image::Platform::host();
    let index = Image::index(
        Format::Oci,
        &[("linux/s390x", foreign), (&format!("{}/{}", host.os, host.architecture), built.clone())],
    )?;
    let name = world.registry.push(&index, "multi:1").await?;
    let id = world.pull(&name).await?;
    assert_eq!(id.as_str(), built.id);
    let repository = world.registry.name("multi");
    let status = world.images.status(&name).await?.context("the image")?;
    let digests = [&index.root.digest, &built.root.digest].map(|digest| format!("{repository}@{digest}"));
    assert_eq!(status.repo_digests, digests);
    for digest in &digests {
        assert_eq!(world.images.status(digest).await?.as_ref(), Some(&status));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn short_names_follow_the_configuration() -> Result<()> {
    let registry = Registry::start().await?;
    let host = registry.host();
    let registries = format!(
        "unqualified-search-registries = [\"{host}\"]\nshort-name-mode = \"enforcing\"\n[aliases]\n\"tool\" = \"{host}/ns/app\"\n"
    );
    let config = Config { pause_image: format!("{host}/ns/app:1"), ..Config::default() };
    let world = World::with(registry, config, &registries)?;
    let built = image("one")?;
    let name = world.registry.push(&built, "ns/app:1").await?;
    for short in ["ns/app:1", "tool:1"] {
        assert_eq!(world.pull(short).await?.as_str(), built.id);
        let status = world.images.status(short).await?.context("the image")?;
        assert_eq!(status.repo_tags, std::slice::from_ref(&name));
        assert!(status.pinned);
        assert_eq!(world.images.prepare(&spec(short)).await?.name, name);
        world.images.remove(short).await?;
        world.assert_empty().await?;
    }
    Ok(())
}
