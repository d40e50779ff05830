//! Other programs on the same image store: podman and skopeo read what the daemon wrote, and the daemon what they wrote.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use crio_cri_api::v1::ImageStatusRequest;
use crio_testkit::image::{self, Compression, Format, ImageBuilder, Layer};
use crio_testkit::request::{self, image_spec};
use crio_tests::{Stage, images};

/// Runs a program on the node's store.
fn tool(stage: &Stage, program: &str, arguments: &[&str]) -> Result<String> {
    let output = stage
        .node
        .inside(program.as_ref())
        .env("CONTAINERS_STORAGE_CONF", stage.node.path("storage.conf"))
        .env("CONTAINERS_REGISTRIES_CONF", stage.node.path("registries.conf"))
        .args(arguments)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments:?}: {errors}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_and_skopeo_use_what_the_daemon_pulled() -> Result<()> {
    let stage = Stage::set().await?;
    let listed = tool(&stage, "podman", &["images", "--quiet", "--no-trunc"])?;
    assert!(listed.contains(&image::busybox()?.id), "{listed}");
    let inspected = tool(&stage, "skopeo", &["inspect", &format!("containers-storage:{}", stage.busybox)])?;
    assert!(inspected.contains("\"Layers\""), "{inspected}");
    let mounted = tool(&stage, "podman", &["image", "mount", &stage.busybox])?;
    assert!(Path::new(mounted.trim()).starts_with(stage.node.path("root")), "{mounted}");
    let program =
        stage.node.inside("test".as_ref()).args(["-x", &format!("{}/bin/busybox", mounted.trim())]).status()?;
    assert!(program.success(), "the image's files are there");
    tool(&stage, "podman", &["image", "unmount", &stage.busybox])?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_uses_what_skopeo_wrote() -> Result<()> {
    let stage = Stage::set().await?;
    let files = Layer::new().file("/word", 0o644, "by skopeo\n");
    let image = ImageBuilder::new(Format::Oci)
        .layer(images::programs()?, Compression::Gzip)
        .layer(files, Compression::Zstd)
        .build()?;
    let layout = stage.node.path("layout");
    image.write_oci(&layout, "1")?;
    let (from, name) = (format!("oci:{}:1", layout.display()), "localhost/by/skopeo:1");
    tool(&stage, "skopeo", &["copy", "--quiet", &from, &format!("containers-storage:{name}")])?;
    let request = ImageStatusRequest { image: Some(image_spec(name)), verbose: false };
    let shown = stage.cri.image().image_status(request).await?.into_inner().image.context("the image")?;
    assert_eq!(shown.repo_tags, [name]);
    let pod = stage.pod("shared").await?;
    let ended = stage.finish(&pod, &request::container("main", name, &["/bin/cat", "/word"])).await?;
    assert_eq!(ended.stdout, "by skopeo\n");
    stage.close().await
}
