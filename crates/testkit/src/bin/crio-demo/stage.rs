//! What the demonstration plays on: a registry with the image, and a node of its own.
//!
//! The node's daemon has its own root, socket, mount namespace and network; `registries.conf` sends the name that the manifest
//! uses to the registry's loopback port, without TLS. Commands find both through `PATH` and `CONTAINER_RUNTIME_ENDPOINT`.

use std::ffi::OsString;
use std::time::Instant;

use anyhow::{Context as _, Result};
use crio_testkit::{Node, Options, Registry, Runtime};

use crate::image;
use crate::narrator::Narrator;
use crate::traces::Before;

/// The manifest, below the workspace.
pub(crate) const MANIFEST: &str = "docs/guide/examples/pod.yaml";
/// The image's name in the manifest.
pub(crate) const IMAGE: &str = "registry.example/demo/shop:1";
/// Its name in the registry.
const PUSHED_AS: &str = "demo/shop:1";

/// Registry and node.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The node.
    pub(crate) node: Node,
    /// The registry; it ends with the stage.
    _registry: Registry,
    /// Put back last.
    _before: Before,
}

impl Stage {
    /// Starts both, and tells what was made.
    ///
    /// # Errors
    /// Something is missing on the machine, or does not start.
    pub(crate) async fn set(narrator: &mut Narrator) -> Result<Self> {
        let before = Before::look();
        narrator
            .step("Start Debian's docker-registry, and push an image of four layers made from Debian packages to it.")
            .await;
        let built = tokio::task::spawn_blocking(image::build).await??;
        let registry = Registry::start().await?;
        let pushed = registry.push(&built, PUSHED_AS).await?;
        for blob in &built.blobs {
            let kind = blob.media_type.rsplit('.').next().unwrap_or_default();
            let digest: String = blob.digest.chars().take(19).collect();
            narrator.aside(&format!("{digest}  {:>9} bytes  {kind}", blob.bytes.len()));
        }
        narrator.aside(&format!("pushed to {pushed}"));
        narrator.pause().await;

        narrator.step("Start a daemon of its own: root, socket, mount namespace and bridge are no one else's.").await;
        let started = Instant::now();
        let node = Node::start(options(&registry)).await?;
        let root = node.path("");
        narrator.aside(&format!(
            "crio answers {:.2} s after its directory {} was made",
            started.elapsed().as_secs_f64(),
            root.display()
        ));
        narrator.aside(&format!("registries.conf sends registry.example to {}, over plain HTTP", registry.host()));
        narrator.set("PATH", path_with(&node)?);
        narrator.set("CONTAINER_RUNTIME_ENDPOINT", format!("unix://{}", node.socket().display()));
        narrator.pause().await;
        Ok(Self { node, _registry: registry, _before: before })
    }

    /// Removes everything after a failure or a signal. The key that interrupts reaches the daemon too, which then ends and
    /// leaves its pods alone; another one takes them over and removes them.
    ///
    /// # Errors
    /// Something cannot be removed, or was left.
    pub(crate) async fn clear(mut self, narrator: &Narrator) -> Result<()> {
        // One that has ended already cannot be told to.
        let _ = self.node.stop().await;
        self.node.start_daemon().await.context("cannot start a daemon to clear up with")?;
        let pods = self.node.cri().await?.pods().await?;
        for pod in &pods {
            narrator.run_quietly(&format!("crio pod rm --force {}", pod.id)).await?;
        }
        self.node.close().await
    }
}

fn options(registry: &Registry) -> Options {
    let host = registry.host();
    Options {
        runtime: Runtime::Crun,
        registries_conf: format!("[[registry]]\nprefix = \"registry.example\"\nlocation = {host:?}\ninsecure = true\n"),
        crio_conf: "[crio.runtime]\nlog_level = \"info\"\n".to_owned(),
        ..Options::default()
    }
}

/// The node's programs before all others.
fn path_with(node: &Node) -> Result<OsString> {
    let before = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(node.path("bin")).chain(std::env::split_paths(&before));
    std::env::join_paths(all).context("the path of a program has a colon")
}
