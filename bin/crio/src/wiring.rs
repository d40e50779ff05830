//! From the configuration to running engines: one function for each engine, and the order in which they are made.
//!
//! This is the only place that sees both the configuration and the engines. Each engine has a `Config` of its own, plain
//! data; here a section of `crio.conf` becomes one.

mod engines;
mod front;
mod images;
mod pods;
mod runtimes;
mod security;
mod streaming;
mod telemetry;

pub use front::Front;
pub use images::images_config;
pub use pods::live;
pub use streaming::streaming;
pub use telemetry::telemetry;

use std::sync::Arc;

use anyhow::{Context, Result};
use crio_cgroups::Cgroups;
use crio_config::Config;
use crio_images::Images;
use crio_network::Networks;
use crio_pods::{Engines, Pods};
use crio_runtime::Runtimes;
use crio_stats::Collector;
use tracing::warn;

/// Everything the daemon is made of.
#[derive(Debug)]
pub struct Node {
    /// Pods and containers.
    pub pods: Pods,
    /// Images.
    pub images: Images,
    /// Use of resources.
    pub stats: Arc<Collector>,
}

/// Starts the engines and makes the daemon of them. Nothing is recovered or served yet.
///
/// # Errors
/// An engine cannot start; the message names the option that matters.
pub async fn node(config: &Config) -> Result<Node> {
    let cgroups = Arc::new(Cgroups::detect(&engines::cgroups(config)).context("cannot use the host's cgroups")?);
    let runtimes = Runtimes::load(runtimes::runtimes(config)?).await.context("cannot use the runtime handlers")?;
    let networks = Networks::start(engines::network(config)).await.context("cannot watch the network configuration")?;
    let live = live(config).context("cannot set up confinement")?;
    let storage = engines::storage(config)?;
    let store = tokio::task::spawn_blocking(move || crio_storage::Store::open(storage)).await?;
    let store = store.context("cannot open the storage")?;
    for failure in store.left_behind() {
        warn!(error = %crio_types::chain(failure), "the storage could not clean up after an earlier process");
    }
    let client = crio_image::Client::new(images::client_config(config)).context("cannot set up the registry client")?;
    let images = Images::new(images_config(config), store.clone(), client);
    // The first look at the store, so that disk use is known before kubelet asks.
    images.list(None).await.context("cannot list the images")?;
    let stats = Arc::new(Collector::new(Arc::clone(&cgroups), engines::stats(config)));
    let host = pods::host_facts(&cgroups, &runtimes);
    let engines = Engines {
        store,
        images: images.clone(),
        networks: Arc::new(networks),
        runtimes: Arc::new(runtimes),
        cgroups,
        stats: Arc::clone(&stats),
    };
    let pods = Pods::new(pods::pods(config)?, engines, host, live);
    Ok(Node { pods, images, stats })
}
