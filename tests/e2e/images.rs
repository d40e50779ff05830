//! Images that are there: every kind of reference, lists, removal, what they occupy.

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{Image, ImageFsInfoRequest, ImageStatusRequest, ListImagesRequest, RemoveImageRequest};
use crio_testkit::image::{Compression, Format};
use crio_testkit::request::image_spec;
use crio_tests::{Stage, images, refused};
use serde_json::json;
use tokio::task::JoinSet;
use tonic::{Code, Status};

async fn status(stage: &Stage, name: &str) -> Result<Option<Image>, Status> {
    let request = ImageStatusRequest { image: Some(image_spec(name)), verbose: false };
    Ok(stage.cri.image().image_status(request).await?.into_inner().image)
}

async fn remove(stage: &Stage, name: &str) -> Result<(), Status> {
    let request = RemoveImageRequest { image: Some(image_spec(name)) };
    stage.cri.image().remove_image(request).await.map(drop)
}

async fn list(stage: &Stage) -> Result<Vec<Image>> {
    Ok(stage.cri.image().list_images(ListImagesRequest::default()).await?.into_inner().images)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_reference_leads_to_the_same_image() -> Result<()> {
    let stage = Stage::set().await?;
    let image = images::small(Format::Oci, Compression::Gzip, "references")?;
    let first = stage.registry.push(&image, "one/image:1").await?;
    let second = stage.registry.push(&image, "two/image:2").await?;
    let id = stage.cri.pull(&first).await?;
    assert_eq!(id, image.id);
    assert_eq!(stage.cri.pull(&second).await?, id, "another name of the same image");
    let digest = format!("{}@{}", stage.registry.name("one/image"), image.root.digest);
    let expected = status(&stage, &first).await?.context("it was pulled")?;
    assert_eq!(expected.id, id);
    let mut tags = expected.repo_tags.clone();
    tags.sort();
    let mut names = vec![first.clone(), second.clone()];
    names.sort();
    assert_eq!(tags, names);
    assert!(expected.repo_digests.contains(&digest), "{expected:?}");
    assert!(expected.size > 0);
    for name in [&second, &digest, &id, &format!("sha256:{id}"), &id[..12].to_owned()] {
        assert_eq!(status(&stage, name).await?.as_ref(), Some(&expected), "{name}");
    }
    assert_eq!(status(&stage, &stage.registry.name("no/such:1")).await?, None);
    assert_eq!(list(&stage).await?.iter().filter(|image| image.id == id).count(), 1);

    remove(&stage, &first).await?;
    assert_eq!(status(&stage, &first).await?, None);
    let left = status(&stage, &second).await?.context("the other name stays")?;
    assert_eq!(left.repo_tags, [second.as_str()]);
    remove(&stage, &second).await?;
    assert_eq!(status(&stage, &id).await?, None, "without names it is gone");

    stage.cri.pull(&first).await?;
    stage.cri.pull(&second).await?;
    let mut removals = JoinSet::new();
    for _ in 0..5 {
        let (mut client, id) = (stage.cri.image(), id.clone());
        removals.spawn(async move { client.remove_image(RemoveImageRequest { image: Some(image_spec(&id)) }).await });
    }
    for removed in removals.join_all().await {
        removed?;
    }
    for name in [&first, &second, &id] {
        assert_eq!(status(&stage, name).await?, None, "by id all names go");
    }
    remove(&stage, &id).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_pulled_by_digest_has_no_tag() -> Result<()> {
    let stage = Stage::set().await?;
    let image = images::small(Format::Docker, Compression::Gzip, "digest")?;
    stage.registry.push(&image, "by/digest:1").await?;
    let name = format!("{}@{}", stage.registry.name("by/digest"), image.root.digest);
    let id = stage.cri.pull(&name).await?;
    let shown = status(&stage, &id).await?.context("it was pulled")?;
    assert!(shown.repo_tags.is_empty(), "{shown:?}");
    assert_eq!(shown.repo_digests, [name.as_str()]);
    remove(&stage, &name).await?;
    assert_eq!(status(&stage, &id).await?, None);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_images_are_numbers_or_names() -> Result<()> {
    let stage = Stage::set().await?;
    let cases = [("", Some(0), ""), ("1002", Some(1002), ""), ("1003:50", Some(1003), ""), ("www:www", None, "www")];
    for (number, (user, uid, name)) in cases.into_iter().enumerate() {
        let image = images::with_shell()?.config("User", json!(user)).build()?;
        let image = stage.registry.push(&image, &format!("users:{number}")).await?;
        stage.cri.pull(&image).await?;
        let shown = status(&stage, &image).await?.context("it was pulled")?;
        let shown_uid = shown.uid.as_ref().map(|uid| uid.value);
        if user.is_empty() {
            assert!(shown_uid.is_none_or(|uid| uid == 0), "{shown:?}");
        } else {
            assert_eq!(shown_uid, uid, "{user}");
        }
        assert_eq!(shown.username, name, "{user}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_in_use_stays() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("uses").await?;
    let id = stage.cri.pull(&stage.busybox).await?;
    let container = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    refused(remove(&stage, &id).await, Code::FailedPrecondition, &["in use"])?;
    stage.cri.remove(&container).await?;
    remove(&stage, &id).await?;
    assert_eq!(status(&stage, &id).await?, None);
    stage.cri.pull(&stage.busybox).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_space_images_take_is_known_at_once() -> Result<()> {
    let stage = Stage::set().await?;
    let used = async || -> Result<u64> {
        let info = stage.cri.image().image_fs_info(ImageFsInfoRequest {}).await?.into_inner();
        assert_eq!((info.image_filesystems.len(), info.container_filesystems.len()), (1, 1));
        let usage = &info.image_filesystems[0];
        assert!(usage.timestamp > 0 && usage.fs_id.as_ref().is_some_and(|id| !id.mountpoint.is_empty()), "{usage:?}");
        Ok(usage.used_bytes.as_ref().map_or(0, |used| used.value))
    };
    let before = used().await?;
    assert!(before > 0, "an image was there when the daemon was asked first");
    let image = images::large(3_000_000)?;
    let name = stage.registry.push(&image, "large:1").await?;
    stage.cri.pull(&name).await?;
    let after = used().await?;
    assert!(after >= before + 3_000_000, "{before} bytes before, {after} after");
    stage.close().await
}
