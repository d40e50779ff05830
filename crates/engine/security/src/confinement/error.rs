//! Why a confinement cannot be made.

use crio_types::{Classified, ErrorKind};

use crate::capability::CapabilityError;
use crate::seccomp::SeccompError;
use crate::selinux;

/// Why a confinement cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// A capability does not exist.
    #[error("cannot set capabilities")]
    Capability(#[source] CapabilityError),
    /// A seccomp profile cannot be used.
    #[error("cannot set up seccomp")]
    Seccomp(#[source] SeccompError),
    /// An AppArmor profile is not loaded.
    #[error("AppArmor profile {name:?} is not loaded")]
    AppArmorNotLoaded {
        /// Its name.
        name: String,
    },
    /// The kernel's list of AppArmor profiles cannot be read, or a profile cannot be loaded.
    #[error("cannot use AppArmor profile {name:?}")]
    AppArmor {
        /// Its name.
        name: String,
        /// What went wrong.
        source: std::io::Error,
    },
    /// An SELinux label cannot be made.
    #[error("cannot make an SELinux label")]
    Selinux(#[source] selinux::LabelError),
    /// A path to hide or protect is not absolute.
    #[error("masked or read-only path {path:?} is not absolute")]
    RelativePath {
        /// What was given.
        path: String,
    },
}

impl Classified for ConfineError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Seccomp(error) => error.kind(),
            Self::AppArmor { .. } => ErrorKind::Internal,
            Self::AppArmorNotLoaded { .. } | Self::Capability(_) | Self::Selinux(_) | Self::RelativePath { .. } => {
                ErrorKind::InvalidArgument
            }
        }
    }
}
