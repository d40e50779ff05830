//! How a request names an image and who asks for it.

use serde::{Deserialize, Serialize};

use crate::Labels;

/// An image as a request or an answer names it (CRI `ImageSpec`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImageSpec {
    /// A name, a name with tag or digest, or an image id; a unique prefix of an id is accepted for look-ups.
    pub image: String,
    /// Annotations of the image, or of the pod when pulling.
    pub annotations: Labels,
    /// The name the pod's author wrote, before kubelet resolved it.
    pub user_specified_image: String,
    /// The runtime handler the image is meant for; empty for the default.
    pub runtime_handler: String,
}

/// What a client presents to a registry. Never logged: `Debug` hides the secrets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// A user name and password, for basic authentication or to obtain a bearer token.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
    /// A refresh token that buys bearer tokens from the registry's token service.
    IdentityToken(String),
    /// A bearer token, sent to the registry as it is.
    RegistryToken(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Basic { username, .. } => write!(f, "Basic({username}, …)"),
            Self::IdentityToken(_) => f.write_str("IdentityToken(…)"),
            Self::RegistryToken(_) => f.write_str("RegistryToken(…)"),
        }
    }
}
