//! What the images service is told by the configuration.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of [`Images`](crate::Images). Plain data; the binary fills it from `crio.conf`.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The image of pause processes. It is always pinned.
    pub pause_image: String,
    /// Names that the kubelet's garbage collection must leave alone: exact, `prefix*` or `*keyword*`.
    pub pinned_images: Vec<String>,
    /// How long a pull may go without anything arriving before it is given up; `None` leaves it to the stall limit of
    /// the registry client.
    pub pull_progress_timeout: Option<Duration>,
    /// The signature policy (`/etc/containers/policy.json`). One that is named and cannot be read refuses every
    /// image; `None` asks for no policy at all.
    pub policy: Option<PathBuf>,
    /// Directory of `<namespace>.json` policies that replace [`Config::policy`] for pods of that namespace.
    pub namespaced_policies: Option<PathBuf>,
    /// Directory of `<namespace>-<sha256 of the image name>.json` authentication files, which a credential provider
    /// leaves for one pull each.
    pub namespaced_auth: Option<PathBuf>,
}
