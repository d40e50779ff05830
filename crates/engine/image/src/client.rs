//! The registry client: what all pulls share.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use crate::auth::AuthFiles;
use crate::platform::Platform;
use crate::pull::UnpackLimits;
use crate::registries::{Registries, RegistriesError, RegistriesPaths, ShortNameMode};
use crate::registry::Timeouts;
use crate::registry::transport::Transport;

/// Settings of the client. Plain data; the binary fills it from `crio.conf`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where registries.conf is.
    pub registries: RegistriesPaths,
    /// How short names are resolved, over what registries.conf says; `None` leaves it to the files.
    pub short_name_mode: Option<ShortNameMode>,
    /// The node's authentication files.
    pub auth_files: AuthFiles,
    /// Directories of per-host certificates; the first that has the host is used.
    pub certificate_directories: Vec<PathBuf>,
    /// What the client calls itself.
    pub user_agent: String,
    /// What images must be built for.
    pub platform: Platform,
    /// Layers of one pull that are in transfer at once.
    pub parallel_layers: usize,
    /// Patience with registries.
    pub timeouts: Timeouts,
    /// How much layers may grow.
    pub unpack_limits: UnpackLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            registries: RegistriesPaths::default(),
            short_name_mode: None,
            auth_files: AuthFiles::new(None),
            certificate_directories: vec!["/etc/containers/certs.d".into(), "/etc/docker/certs.d".into()],
            user_agent: concat!("crio-rs/", env!("CARGO_PKG_VERSION")).to_owned(),
            platform: Platform::host(),
            parallel_layers: 6,
            timeouts: Timeouts::default(),
            unpack_limits: UnpackLimits::default(),
        }
    }
}

/// Connections, certificates and the registry configuration. Clones share everything.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Config,
    transport: Arc<Transport>,
    registries: RwLock<Arc<Registries>>,
}

impl Client {
    /// Reads registries.conf and makes a client. Blocks on the disk.
    ///
    /// # Errors
    /// registries.conf cannot be used.
    pub fn new(config: Config) -> Result<Self, RegistriesError> {
        let registries = load(&config)?;
        let transport =
            Transport::new(config.certificate_directories.clone(), config.user_agent.clone(), config.timeouts);
        Ok(Self(Arc::new(Shared {
            transport: Arc::new(transport),
            registries: RwLock::new(Arc::new(registries)),
            config,
        })))
    }

    /// Reads registries.conf and the certificates again. Pulls that are going on keep what they began with.
    ///
    /// # Errors
    /// registries.conf cannot be used; the one in force stays.
    pub fn reload(&self) -> Result<(), RegistriesError> {
        let registries = Arc::new(load(&self.0.config)?);
        *self.0.registries.write().unwrap_or_else(PoisonError::into_inner) = registries;
        self.0.transport.forget_clients();
        Ok(())
    }

    /// The settings it was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The registry configuration in force.
    #[must_use]
    pub fn registries(&self) -> Arc<Registries> {
        Arc::clone(&self.0.registries.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn transport(&self) -> Arc<Transport> {
        Arc::clone(&self.0.transport)
    }
}

fn load(config: &Config) -> Result<Registries, RegistriesError> {
    let registries = Registries::load(&config.registries)?;
    Ok(match config.short_name_mode {
        Some(mode) => registries.with_short_name_mode(mode),
        None => registries,
    })
}
