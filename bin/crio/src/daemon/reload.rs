//! SIGHUP: the configuration is read and checked whole, then what can change without a restart changes at once.

use crio_config::{Config, Reload as Kind, Sources};
use crio_images::Images;
use crio_pods::Pods;
use crio_telemetry::LogHandle;
use tracing::{error, info, warn};

use crate::wiring::{self, Front, Node};

/// What a reload changes.
pub struct Reload<'a> {
    sources: &'a Sources,
    config: Config,
    images: Images,
    pods: Pods,
    front: Front,
}

impl<'a> Reload<'a> {
    pub fn new(sources: &'a Sources, config: Config, node: &Node, front: Front) -> Self {
        Self { sources, config, images: node.images.clone(), pods: node.pods.clone(), front }
    }

    /// Reads the configuration again. A broken one changes nothing.
    pub fn reload(&mut self, log: &LogHandle) {
        let (new, warnings) = match crio_config::load(self.sources) {
            Ok(loaded) => loaded,
            Err(failure) => {
                error!(error = %failure, "the configuration was not reloaded");
                return;
            }
        };
        for warning in warnings {
            warn!(%warning, "configuration");
        }
        for change in self.config.changes(&new) {
            match change.reload {
                Kind::Live => info!(option = change.name, "reloaded"),
                Kind::Restart => warn!(option = change.name, "changed; takes a restart"),
            }
        }
        self.config = self.config.reloaded(&new);
        let logging = wiring::telemetry(&self.config);
        if let Err(failure) = log.set(logging.level, logging.filter.as_deref()) {
            error!(error = %crio_types::chain(&failure), "the log level was not reloaded");
        }
        self.images.reload(wiring::images_config(&self.config));
        if let Err(failure) = self.images.client().reload() {
            error!(error = %crio_types::chain(&failure), "registries.conf was not reloaded");
        }
        match wiring::live(&self.config) {
            Ok(live) => {
                self.pods.reload(live);
                info!("the confinement of new containers was reloaded");
            }
            Err(failure) => error!(error = format!("{failure:#}"), "the confinement was not reloaded"),
        }
        self.front.update(&self.config);
    }
}
