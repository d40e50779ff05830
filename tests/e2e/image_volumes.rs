//! Images mounted as volumes.

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{ImageSpec, ListImagesRequest, Mount, RemoveImageRequest};
use crio_testkit::image::{Compression, Format, ImageBuilder, Layer};
use crio_testkit::request;
use crio_tests::{Stage, refused};
use tonic::Code;

/// Two layers of data with links that try to lead out. Nothing in it runs.
async fn data(stage: &Stage) -> Result<String> {
    let lower = Layer::new().file("/top", 0o644, "of the image\n").file("/models/small", 0o644, "covered\n");
    let upper = Layer::new()
        .file("/models/small", 0o644, "small\n")
        .file("/models/run", 0o755, "#!/bin/sh\necho ran\n")
        .symlink("/absolute", "/models")
        .symlink("/climbing", "../../../../../../models")
        .symlink("/outside", "/etc/passwd")
        .symlink("/loop", "loop");
    let image =
        ImageBuilder::new(Format::Oci).layer(lower, Compression::Gzip).layer(upper, Compression::Gzip).build()?;
    let name = stage.registry.push(&image, "data:1").await?;
    stage.cri.pull(&name).await?;
    Ok(name)
}

fn volume(image: &str, sub_path: &str) -> Mount {
    Mount {
        container_path: "/volume".to_owned(),
        image: Some(request::image_spec(image)),
        image_sub_path: sub_path.to_owned(),
        readonly: true,
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_a_read_only_volume_of_its_layers() -> Result<()> {
    let stage = Stage::set().await?;
    let image = data(&stage).await?;
    let pod = stage.pod("volumes").await?;
    let script = "cat /volume/top /volume/models/small; touch /volume/new 2>/dev/null || echo read-only
         /volume/models/run 2>/dev/null || echo not run; grep -c ' /volume .*ro,nosuid,nodev,noexec' /proc/mounts";
    let mut config = stage.shell("main", script);
    // An image volume is read-only even when the request forgets to say so.
    config.mounts = vec![Mount { readonly: false, ..volume(&image, "") }];
    let ended = stage.finish(&pod, &config).await?;
    assert_eq!(ended.stdout, "of the image\nsmall\nread-only\nnot run\n1\n", "{}", ended.stderr);

    let listed = stage.cri.image().list_images(ListImagesRequest::default()).await?.into_inner().images;
    let digest = listed.iter().find(|listed| listed.repo_tags.contains(&image)).context("it is listed")?;
    let shown = ended.status.mounts.first().context("the mount is shown")?;
    assert_eq!((shown.host_path.as_str(), shown.container_path.as_str()), ("", "/volume"));
    let shown_image = shown.image.clone().context("with its image")?;
    assert_eq!((&shown_image.image, &shown_image.image_ref), (&image, &digest.repo_digests[0]));
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sub_path_stays_inside_the_image() -> Result<()> {
    let stage = Stage::set().await?;
    let image = data(&stage).await?;
    let pod = stage.pod("sub-paths").await?;
    for (number, (sub_path, file)) in
        [("models", "/small"), ("models/small", ""), ("absolute", "/small"), ("climbing/", "/small")].iter().enumerate()
    {
        let mut config = stage.shell(&format!("inside-{number}"), &format!("cat /volume{file}"));
        config.mounts = vec![volume(&image, sub_path)];
        let ended = stage.finish(&pod, &config).await?;
        assert_eq!(ended.stdout, "small\n", "{sub_path}: {}", ended.stderr);
        assert_eq!(ended.status.mounts[0].image_sub_path, *sub_path);
    }
    // What the links of the image call /etc/passwd is not in the image, and the host's is not its business.
    for (sub_path, code, word) in [
        ("outside", Code::Unknown, "ImageVolumeMountFailed"),
        ("missing", Code::Unknown, "ImageVolumeMountFailed"),
        ("loop", Code::Unknown, "ImageVolumeMountFailed"),
        ("..", Code::InvalidArgument, "image_sub_path"),
        ("models/../../../etc", Code::InvalidArgument, "image_sub_path"),
        ("/etc", Code::InvalidArgument, "image_sub_path"),
    ] {
        let mut config = stage.shell("refused", "true");
        config.mounts = vec![volume(&image, sub_path)];
        let answer = stage.cri.create(&pod.id, &pod.config, &config).await;
        if let (Code::Unknown, Err(status)) = (code, &answer) {
            assert!(status.message().starts_with(word), "kubelet looks at the beginning: {status:?}");
        }
        refused(answer, code, &[word, sub_path])?;
    }
    stage.finish(&pod, &stage.shell("refused", "true")).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_stays_while_it_is_mounted() -> Result<()> {
    let mut stage = Stage::set().await?;
    let image = data(&stage).await?;
    let pod = stage.pod("held").await?;
    let mut config = stage.shell("main", "sleep 1000");
    config.mounts = vec![volume(&image, ""), Mount { container_path: "/again".to_owned(), ..volume(&image, "models") }];
    let id = stage.start(&pod, &config).await?;
    refused(remove(&stage, &image).await, Code::FailedPrecondition, &["in use", &id])?;

    stage.crash().await?;
    refused(remove(&stage, &image).await, Code::FailedPrecondition, &["in use", &id])?;
    assert_eq!(stage.exec(&id, "cat /volume/top /again/small").await?, "of the image\nsmall\n");

    stage.cri.stop(&id, std::time::Duration::ZERO).await?;
    refused(remove(&stage, &image).await, Code::FailedPrecondition, &["in use", &id])?;
    stage.cri.remove(&id).await?;
    remove(&stage, &image).await?;
    let mut config = stage.shell("late", "true");
    config.mounts = vec![volume(&image, "")];
    let answer = stage.cri.create(&pod.id, &pod.config, &config).await;
    refused(answer, Code::Unknown, &["ImageVolumeMountFailed", &image, "pull it first"])?;
    let mounts = stage.node.inside("cat".as_ref()).arg("/proc/self/mountinfo").output()?.stdout;
    assert!(!String::from_utf8_lossy(&mounts).contains(&id), "nothing of it is mounted any more");
    stage.close().await
}

async fn remove(stage: &Stage, image: &str) -> Result<(), tonic::Status> {
    let image = Some(ImageSpec { image: image.to_owned(), ..Default::default() });
    stage.cri.image().remove_image(RemoveImageRequest { image }).await.map(drop)
}
