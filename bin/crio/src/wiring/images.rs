//! Images: the registry client and the image service.

use std::path::PathBuf;
use std::time::Duration;

use crio_config::{Config, ShortNameMode};
use crio_image::{AuthFiles, RegistriesPaths};

/// The signature policy when `signature_policy` names none; as for CRI-O it has to exist.
const SIGNATURE_POLICY: &str = "/etc/containers/policy.json";

/// What the registry client needs to know.
pub fn client_config(config: &Config) -> crio_image::Config {
    let places = RegistriesPaths::default();
    crio_image::Config {
        registries: RegistriesPaths {
            main: config.daemon.registries_conf.clone().unwrap_or(places.main),
            drop_ins: config.daemon.registries_conf_dir.clone().unwrap_or(places.drop_ins),
            recorded_aliases: places.recorded_aliases,
        },
        short_name_mode: Some(match config.image.short_name_mode {
            ShortNameMode::Enforcing => crio_image::ShortNameMode::Enforcing,
            ShortNameMode::Disabled => crio_image::ShortNameMode::Disabled,
        }),
        auth_files: AuthFiles::new(config.image.global_auth_file.as_deref()),
        ..crio_image::Config::default()
    }
}

/// `[crio.image]`, as far as the image service goes.
pub fn images_config(config: &Config) -> crio_images::Config {
    let image = &config.image;
    crio_images::Config {
        pause_image: image.pause_image.clone(),
        pinned_images: image.pinned_images.clone(),
        pull_progress_timeout: Some(image.pull_progress_timeout).filter(|limit| *limit > Duration::ZERO),
        policy: Some(image.signature_policy.clone().unwrap_or_else(|| PathBuf::from(SIGNATURE_POLICY))),
        namespaced_policies: image.signature_policy_dir.clone(),
        namespaced_auth: image.namespaced_auth_dir.clone(),
    }
}
