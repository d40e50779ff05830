//! Checkpoints where there are none: off, or without what they need. Where they work, they have a test program of their own.

use std::fs;
use std::path::Path;

use anyhow::Result;
use crio_cri_api::v1::CheckpointContainerRequest;
use crio_testkit::{Options, Runtime};
use crio_tests::{Stage, refused};
use tonic::Code;

async fn checkpoint(stage: &Stage, id: &str, location: &Path) -> Result<(), tonic::Status> {
    let location = location.to_string_lossy().into_owned();
    let request = CheckpointContainerRequest { container_id: id.to_owned(), location, timeout: 0 };
    stage.cri.runtime().checkpoint_container(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_off_unless_enabled() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("off").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let archive = stage.node.path("it.tar");
    refused(checkpoint(&stage, &id, &archive).await, Code::Unimplemented, &["enable_criu_support"])?;
    let mut config = stage.shell("again", "true");
    config.image.get_or_insert_default().image = archive.to_string_lossy().into_owned();
    let created = stage.cri.create(&pod.id, &pod.config, &config).await;
    refused(created, Code::Unimplemented, &["enable_criu_support"])?;
    assert!(!archive.exists());
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_for_checkpoints_is_named() -> Result<()> {
    let nothing = tempfile::Builder::new().prefix("ct-criu-").tempdir()?;
    let crio_conf =
        format!("[crio.runtime]\nenable_criu_support = true\nconmon_env = [\"PATH={}\"]\n", nothing.path().display());
    let stage = Stage::set_with(Options { crio_conf, ..Options::default() }).await?;
    let pod = stage.pod("missing").await?;
    let id = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
    let archive = stage.node.path("it.tar");
    let words = match Runtime::from_environment() {
        Runtime::Crun => "built without checkpoints",
        Runtime::Runc => "criu",
    };
    refused(checkpoint(&stage, &id, &archive).await, Code::Unimplemented, &[words])?;
    assert!(!archive.exists());
    assert_eq!(fs::read_dir(nothing.path())?.count(), 0);
    stage.exec(&id, "true").await?;
    stage.close().await
}
