//! podman and skopeo on the same store.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use crio_images::ImageUser;
use crio_testkit::image::{Format, Image};
use serde_json::{Value, json};

use crate::world::{World, image, run, text};

/// A table of the store without what differs between any two pulls.
fn comparable(path: &Path) -> Result<Value> {
    let mut table: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    for row in table.as_array_mut().context("a table")? {
        let row = row.as_object_mut().context("a row")?;
        // Signatures: this skopeo writes an empty item for none, newer ones nothing. Both read either.
        row.remove("metadata");
        for list in ["big-data-names", "big-data-sizes", "big-data-digests"] {
            match row.get_mut(list) {
                Some(Value::Array(items)) => {
                    items.retain(|item| !item.as_str().unwrap_or_default().starts_with("signature-"));
                }
                Some(Value::Object(items)) => items.retain(|key, _| !key.starts_with("signature-")),
                _ => {}
            }
        }
        if row.contains_key("diff-digest") {
            row.remove("created");
        }
    }
    Ok(table)
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_would_have_written_the_same() -> Result<()> {
    let (ours, theirs) = (World::new().await?, World::new().await?);
    let host = crio_image::Platform::host();
    let single = image("one")?;
    let index = Image::index(Format::Docker, &[(&format!("{}/{}", host.os, host.architecture), image("two")?)])?;
    let policy = ours.policy()?;
    for (built, name) in [(&single, "app:1"), (&index, "app:2")] {
        let name = ours.registry.push(built, name).await?;
        ours.pull(&name).await?;
        let options = ["--policy", text(&policy), "copy", "-q", "--src-tls-verify=false"];
        let ends = [format!("docker://{name}"), theirs.in_store(&name)];
        run("skopeo", &[options.as_slice(), &[&ends[0], &ends[1]]].concat())?;
    }
    for table in ["overlay-images/images.json", "overlay-layers/layers.json"] {
        let (ours, theirs) = (comparable(&ours.root().join(table))?, comparable(&theirs.root().join(table))?);
        assert_eq!(sorted(&ours), sorted(&theirs), "{table}");
    }
    Ok(())
}

/// Rows by id: concurrent pulls and skopeo commit in different orders.
fn sorted(table: &Value) -> Vec<Value> {
    let mut rows = table.as_array().cloned().unwrap_or_default();
    rows.sort_by_key(|row| row["id"].to_string());
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_and_we_see_each_others_images() -> Result<()> {
    let world = World::new().await?;
    let built = image("one")?;
    let name = world.registry.push(&built, "app:1").await?;
    world.pull(&name).await?;
    let listed: Value = serde_json::from_str(&world.podman(&["images", "--format", "json"])?)?;
    assert_eq!(listed[0]["Id"], json!(built.id));
    assert_eq!(listed[0]["Names"], json!([name]));
    let policy = world.policy()?;
    let exported = world.directory.path().join("exported");
    let ends = [world.in_store(&name), format!("dir:{}", text(&exported))];
    run("skopeo", &["--policy", text(&policy), "copy", "-q", &ends[0], &ends[1]])?;

    let other = image("two")?;
    let pulled = world.registry.push(&other, "app:2").await?;
    world.podman(&["pull", "-q", "--tls-verify=false", "--signature-policy", text(&policy), &pulled])?;
    let status = world.images.status(&pulled).await?.context("podman's image")?;
    assert_eq!(status.id.as_str(), other.id);
    assert_eq!(status.user, Some(ImageUser::Uid(1003)));
    // Its layers are ours now: nothing but documents is fetched.
    let before = world.registry.log().matches("GET /v2/app/blobs/").count();
    assert_eq!(world.pull(&pulled).await?.as_str(), other.id);
    let fetched = world.registry.log().matches("GET /v2/app/blobs/").count() - before;
    ensure!(fetched <= 1, "{fetched} blobs were fetched");

    world.podman(&["rmi", "-f", &pulled])?;
    assert_eq!(world.images.status(&pulled).await?, None);
    world.images.remove(&name).await?;
    assert_eq!(world.podman(&["images", "-q"])?.trim(), "");
    Ok(())
}
