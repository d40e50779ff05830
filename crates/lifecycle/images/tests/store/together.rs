//! Pulls and removals that meet each other, and that are given up.

use std::time::Duration;

use anyhow::{Result, ensure};
use crio_images::{PullRequest, RemoveError};
use crio_testkit::image::{Compression, Format, ImageBuilder, Layer};
use crio_types::{Classified, ErrorKind, chain};

use crate::world::{World, image, new_container, spec};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_pulls_and_removals_all_succeed() -> Result<()> {
    let world = World::new().await?;
    let names =
        [world.registry.push(&image("one")?, "app:1").await?, world.registry.push(&image("two")?, "app:2").await?];
    for _ in 0..3 {
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..40 {
            let (images, name) = (world.images.clone(), names[index % 2].clone());
            tasks.spawn(async move {
                images.pull(PullRequest::new(&spec(&name))).await.map(drop).map_err(|error| chain(&error))
            });
        }
        while let Some(done) = tasks.join_next().await {
            assert_eq!(done?, Ok(()));
        }
        assert!(world.images.pulls().is_empty());
        let ids: Vec<_> = world.images.list(None).await?.iter().map(|image| image.id.clone()).collect();
        assert_eq!(ids.len(), 2);
        for index in 0..10 {
            let (images, id) = (world.images.clone(), ids[index % 2].clone());
            tasks.spawn(async move {
                images.remove(id.as_str()).await.map_err(|error| chain(&error))?;
                let status = images.status(id.as_str()).await.map_err(|error| chain(&error))?;
                status.map_or(Ok(()), |_| Err("the image is still there".to_owned()))
            });
        }
        while let Some(done) = tasks.join_next().await {
            assert_eq!(done?, Ok(()));
        }
        world.assert_empty().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_survive_removals_at_the_same_time() -> Result<()> {
    let world = World::new().await?;
    let names =
        [world.registry.push(&image("one")?, "app:1").await?, world.registry.push(&image("two")?, "app:2").await?];
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..4 {
        let (images, names) = (world.images.clone(), names.clone());
        tasks.spawn(async move {
            for round in 0..10 {
                let name = &names[(worker + round) % 2];
                let id = images.pull(PullRequest::new(&spec(name))).await.map_err(|error| chain(&error))?;
                images.remove(id.as_str()).await.map_err(|error| chain(&error))?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        assert_eq!(done?, Ok(()));
    }
    world.assert_empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_pull_leaves_nothing() -> Result<()> {
    let world = World::new().await?;
    let mut builder = ImageBuilder::new(Format::Oci);
    for index in 0..8 {
        let bytes: Vec<u8> = (0..400_000_u32).map(|i| (i.wrapping_mul(2_654_435_761 + index) >> 24) as u8).collect();
        builder = builder.layer(Layer::new().file(&format!("/{index}"), 0o644, bytes), Compression::Gzip);
    }
    let name = world.registry.push(&builder.build()?, "large:1").await?;
    let mut cancelled = 0;
    for wait_ms in [0, 1, 2, 5, 10, 15, 20, 30] {
        let waited = tokio::time::timeout(Duration::from_millis(wait_ms), world.pull(&name)).await;
        match waited {
            Err(_) => cancelled += 1,
            Ok(pulled) => world.images.remove(pulled?.as_str()).await?,
        }
        while !world.images.pulls().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // A pull that was committing when it was given up has an image, which is whole.
        world.images.remove(&name).await?;
        world.assert_empty().await?;
    }
    ensure!(cancelled > 2, "too few pulls were cancelled");
    world.pull(&name).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_in_use_stays() -> Result<()> {
    let world = World::new().await?;
    let built = image("one")?;
    let first = world.registry.push(&built, "app:1").await?;
    let second = world.registry.push(&built, "app:2").await?;
    world.pull(&first).await?;
    let id = world.pull(&second).await?;
    let container = world.store.create_container(new_container(&id)?)?;
    let error = world.images.remove(id.as_str()).await.unwrap_err();
    assert!(matches!(&error, RemoveError::InUse { .. }));
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(chain(&error).contains("k8s_user_of_the_image"), "{error}");
    // A tag may go as long as another stays.
    world.images.remove(&first).await?;
    assert!(world.images.remove(&second).await.is_err());
    world.store.delete_container(&container.id)?;

    let hold = world.images.hold(&id, "volume of pod x");
    let again = world.images.hold(&id, "volume of pod x");
    assert!(chain(&world.images.remove(&second).await.unwrap_err()).contains("volume of pod x"));
    drop(hold);
    assert!(world.images.remove(&second).await.is_err());
    drop(again);
    world.images.remove(&second).await?;
    world.assert_empty().await
}
