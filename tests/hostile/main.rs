//! Clients of the streaming server that mean no good, over raw connections: whatever they do, the daemon goes on serving
//! others, and when they are gone it is as it was: no process, no descriptor, and no memory beyond what an allocator keeps.

mod client;
mod footprint;
mod heads;
mod readers;
mod resets;
mod spdy;
mod tokens;
mod websocket;

use std::time::Duration;

use anyhow::Result;
use crio_tests::{Pod, Stage};

use client::Door;
use footprint::Footprint;

/// A node with a container that does nothing, and what its daemon costs then.
struct Scene {
    stage: Stage,
    container: String,
    before: Footprint,
}

impl Scene {
    async fn set() -> Result<Self> {
        Box::pin(Self::build()).await
    }

    async fn build() -> Result<Self> {
        let stage = Stage::set().await?;
        let pod = stage.pod("hostile").await?;
        let container = stage.start(&pod, &stage.shell("main", "sleep 1000")).await?;
        // What the first sessions bring with them stays: threads, caches, what the allocator keeps.
        for _ in 0..20 {
            Door::exec(&stage, &container, "echo warm").await?.says("warm\n").await?;
        }
        let before = Footprint::of(&stage)?;
        Ok(Self { stage, container, before })
    }

    /// A way to a command in the container.
    async fn door(&self, script: &str) -> Result<Door> {
        Door::exec(&self.stage, &self.container, script).await
    }

    /// An honest client is served as ever.
    async fn serves(&self) -> Result<()> {
        self.door("echo still here").await?.says("still here\n").await
    }

    /// Removes a pod that a test had beside the scene's own.
    async fn remove(&self, pod: &Pod, container: &str) -> Result<()> {
        self.stage.cri.stop(container, Duration::ZERO).await?;
        self.stage.cri.stop_pod(&pod.id).await?;
        Ok(self.stage.cri.remove_pod(&pod.id).await?)
    }

    /// Everything is as before, and the host is left clean.
    async fn close(self) -> Result<()> {
        self.serves().await?;
        self.before.comes_back(&self.stage).await?;
        self.stage.close().await
    }
}
