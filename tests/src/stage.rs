//! The stage of a test: a registry, a node and a client.

use std::time::Duration;

use anyhow::{Context as _, Result};
use crio_cri_api::v1::StatusRequest;
use crio_testkit::{Cri, Node, Options, Registry, Runtime, image};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

/// Nodes at once in one test program: the machines of continuous integration have two processors.
const NODES: u32 = 2;
static PLACES: Semaphore = Semaphore::const_new(NODES as usize);

/// A registry, a node and a client.
#[derive(Debug)]
pub struct Stage {
    /// The registry; it holds the busybox and pause images.
    pub registry: Registry,
    /// The node.
    pub node: Node,
    /// A client of its daemon. After a restart there is a new one: [`Stage::reconnect`].
    pub cri: Cri,
    /// The full name of the busybox image, which is pulled already.
    pub busybox: String,
    _places: SemaphorePermit<'static>,
}

impl Stage {
    /// The ordinary stage.
    ///
    /// # Errors
    /// Something is missing on the machine, or the daemon does not start.
    pub async fn set() -> Result<Self> {
        Self::set_with(Options::default()).await
    }

    /// A stage whose node has other options. The runtime and the registries are filled in.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub async fn set_with(options: Options) -> Result<Self> {
        Self::build(options, 1).await
    }

    /// A stage beside which no other node of this test program is, for what nodes of one host share: the table of host ports.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub async fn set_alone() -> Result<Self> {
        Self::build(Options::default(), NODES).await
    }

    async fn build(options: Options, places: u32) -> Result<Self> {
        let places = PLACES.acquire_many(places).await?;
        let registry = Registry::start().await?;
        let busybox = registry.push(&image::busybox()?, "library/busybox:latest").await?;
        let pause = registry.push(&image::pause()?, "library/pause:latest").await?;
        let mut insecure_registries = options.insecure_registries;
        insecure_registries.push(registry.host());
        let node = Node::start(Options {
            runtime: Runtime::from_environment(),
            insecure_registries,
            pause_image: pause,
            ..options
        })
        .await?;
        let cri = node.cri().await?;
        cri.pull(&busybox).await?;
        Ok(Self { registry, node, cri, busybox, _places: places })
    }

    /// Connects again after the daemon was started anew.
    ///
    /// # Errors
    /// It does not listen.
    pub async fn reconnect(&mut self) -> Result<()> {
        self.cri = self.node.cri().await?;
        Ok(())
    }

    /// Kills the daemon, starts another and connects to it.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn crash(&mut self) -> Result<()> {
        self.node.kill()?;
        self.node.start_daemon().await?;
        self.reconnect().await
    }

    /// Asks the daemon to read its configuration again, and waits until it has said `word` once more.
    ///
    /// # Errors
    /// It does not run, or does not say it.
    pub async fn reload(&self, word: &str) -> Result<()> {
        let said = || self.node.log().matches(word).count();
        let before = said();
        let daemon = i32::try_from(self.node.daemon_pid()?).ok().and_then(Pid::from_raw).context("a process")?;
        kill_process(daemon, Signal::HUP)?;
        crate::until(word, async || Ok((said() > before).then_some(()))).await
    }

    /// Gives the node another network, and waits until the daemon has seen it.
    ///
    /// # Errors
    /// The file cannot be written, or the network does not become ready.
    pub async fn change_network(&self, conflist: &[u8]) -> Result<()> {
        let file = self.node.path("cni/10-test.conflist");
        std::fs::remove_file(&file)?;
        self.network_is(false).await?;
        std::fs::write(&file, conflist)?;
        self.network_is(true).await.map(drop)
    }

    /// Waits until the network is ready, or not, and gives the reason.
    ///
    /// # Errors
    /// That does not come.
    pub async fn network_is(&self, ready: bool) -> Result<String> {
        crate::until("the network's readiness changes", async || {
            let status = self.cri.runtime().status(StatusRequest::default()).await?.into_inner();
            let conditions = status.status.unwrap_or_default().conditions;
            let network = conditions.into_iter().find(|condition| condition.r#type == "NetworkReady");
            Ok(network.filter(|network| network.status == ready).map(|network| network.message))
        })
        .await
    }

    /// The names of everything in the image store that a pull could leave behind.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn stored(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for directory in ["overlay", "overlay/l", "overlay-images", "overlay-layers"] {
            let path = self.node.path("root").join(directory);
            for entry in std::fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                // Records of containers, which are no part of any image.
                if !name.contains("volatile") {
                    names.push(format!("{directory}/{name}"));
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// Kills every container, removes every pod, ends the daemon, and fails when anything is left.
    ///
    /// # Errors
    /// Something is left, or the daemon does not end.
    pub async fn close(self) -> Result<()> {
        let mut stops = JoinSet::new();
        for container in self.cri.containers().await? {
            let cri = self.cri.clone();
            stops.spawn(async move { cri.stop(&container.id, Duration::ZERO).await });
        }
        for stopped in stops.join_all().await {
            stopped?;
        }
        drop(self.cri);
        self.node.close().await
    }
}
