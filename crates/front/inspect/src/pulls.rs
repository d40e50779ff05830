//! `/pulls`: what is being pulled, and how far it is. CRI itself has no progress.

use crio_images::PullStatus;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Pull {
    image: String,
    /// Nanoseconds since the Unix epoch.
    started_at: i64,
    waiters: usize,
    /// Bottom first; empty until the manifest is known.
    layers: Vec<Layer>,
}

#[derive(Debug, Serialize)]
struct Layer {
    digest: String,
    done_bytes: u64,
    total_bytes: u64,
}

impl Pull {
    pub(crate) fn of(pull: PullStatus) -> Self {
        let layers = pull.layers.into_iter().map(|layer| Layer {
            digest: layer.digest,
            done_bytes: layer.done_bytes,
            total_bytes: layer.total_bytes,
        });
        Self { image: pull.image, started_at: pull.started_at.0, waiters: pull.waiters, layers: layers.collect() }
    }
}
