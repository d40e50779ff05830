//! Seccomp filters: the built-in profile, profiles in files, and which of them a request means.
//!
//! An absent profile in a request is *unconfined*, an empty one the runtime's default (cri-contract, trap 12). A
//! profile that is missing, unreadable or empty refuses the container: a filter that silently is not there is worse
//! than none. On a kernel without seccomp the default degrades to unconfined, a profile of one's own does not.

use std::path::{Path, PathBuf};

use crio_types::{Classified, ErrorKind, SecurityProfile};
use oci_spec::runtime::LinuxSeccomp;

use crate::{CapabilitySet, HostSecurity};

mod builtin;
mod profile;
mod syscalls;

pub use profile::{MAX_PROFILE_BYTES, Profile, ProfileError};

/// A filter and the name the annotations carry for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResolvedSeccomp {
    /// The filter; `None` is unconfined.
    pub filter: Option<LinuxSeccomp>,
    /// `RuntimeDefault`, `Unconfined`, the path of the profile, or empty when the request had none.
    pub reference: String,
}

/// What containers get by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DefaultProfile {
    /// The profile of this crate.
    #[default]
    BuiltIn,
    /// A profile of the administrator's.
    File(Box<Profile>),
    /// None: the administrator wants it so.
    Unconfined,
}

/// Why a filter cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// The kernel has no seccomp, and the request wants a profile of its own.
    #[error("seccomp is not enabled, cannot run with custom profile")]
    NotSupported,
    /// The path of a profile is not absolute.
    #[error("seccomp profile path {path:?} is not absolute")]
    RelativePath {
        /// What was given.
        path: String,
    },
    /// A profile cannot be used.
    #[error("unable to load seccomp profile {path:?}")]
    Load {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: ProfileError,
    },
}

impl Classified for SeccompError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotSupported => ErrorKind::FailedPrecondition,
            Self::RelativePath { .. } | Self::Load { .. } => ErrorKind::InvalidArgument,
        }
    }
}

/// Reads the profile at `path`.
///
/// # Errors
/// See [`SeccompError`].
pub fn load(path: &Path) -> Result<Profile, SeccompError> {
    if !path.is_absolute() {
        return Err(SeccompError::RelativePath { path: path.display().to_string() });
    }
    Profile::read(path).map_err(|source| SeccompError::Load { path: path.to_owned(), source })
}

/// The filter `requested` means for a container with these capabilities.
///
/// # Errors
/// See [`SeccompError`].
pub fn resolve(
    requested: Option<&SecurityProfile>,
    default: &DefaultProfile,
    capabilities: CapabilitySet,
    host: &HostSecurity,
) -> Result<ResolvedSeccomp, SeccompError> {
    let unconfined = |reference: &str| ResolvedSeccomp { filter: None, reference: reference.to_owned() };
    match requested {
        None => Ok(unconfined("")),
        Some(SecurityProfile::Unconfined) => Ok(unconfined("Unconfined")),
        Some(SecurityProfile::RuntimeDefault) if !host.seccomp || *default == DefaultProfile::Unconfined => {
            Ok(unconfined("Unconfined"))
        }
        Some(SecurityProfile::Localhost(_)) if !host.seccomp => Err(SeccompError::NotSupported),
        Some(SecurityProfile::RuntimeDefault) => Ok(ResolvedSeccomp {
            filter: match default {
                DefaultProfile::BuiltIn => Some(builtin::filter(capabilities)),
                DefaultProfile::File(profile) => Some(profile.filter(capabilities, host.kernel)),
                DefaultProfile::Unconfined => None,
            },
            reference: "RuntimeDefault".to_owned(),
        }),
        Some(SecurityProfile::Localhost(path)) => Ok(ResolvedSeccomp {
            filter: Some(load(Path::new(path))?.filter(capabilities, host.kernel)),
            reference: path.clone(),
        }),
    }
}

/// The built-in profile for a container with these capabilities.
#[must_use]
pub fn builtin_filter(capabilities: CapabilitySet) -> LinuxSeccomp {
    builtin::filter(capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(seccomp: bool) -> HostSecurity {
        HostSecurity { seccomp, ..HostSecurity::detect().expect("detect") }
    }

    fn check(requested: Option<&SecurityProfile>, seccomp: bool, expected: (bool, &str)) {
        let resolved = resolve(requested, &DefaultProfile::BuiltIn, CapabilitySet::EMPTY, &host(seccomp)).expect("ok");
        assert_eq!((resolved.filter.is_some(), resolved.reference.as_str()), expected, "{requested:?}");
    }

    #[test]
    fn absent_is_unconfined_and_empty_is_the_default() {
        check(None, true, (false, ""));
        check(Some(&SecurityProfile::Unconfined), true, (false, "Unconfined"));
        check(Some(&SecurityProfile::RuntimeDefault), true, (true, "RuntimeDefault"));
        check(Some(&SecurityProfile::RuntimeDefault), false, (false, "Unconfined"));
    }

    #[test]
    fn an_administrator_can_do_without() {
        for (requested, reference) in
            [(SecurityProfile::RuntimeDefault, "Unconfined"), (SecurityProfile::Unconfined, "Unconfined")]
        {
            let default = DefaultProfile::Unconfined;
            let resolved = resolve(Some(&requested), &default, CapabilitySet::EMPTY, &host(true)).expect("ok");
            assert_eq!((resolved.filter, resolved.reference.as_str()), (None, reference));
        }
    }

    #[test]
    fn a_profile_that_cannot_be_used_refuses_the_container() {
        let directory = tempfile::tempdir().expect("tempdir");
        let file = |name: &str, content: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).expect("write");
            path.display().to_string()
        };
        let cases = [
            ("relative.json".to_owned(), "not absolute"),
            (String::new(), "not absolute"),
            (directory.path().join("missing").display().to_string(), "unable to load"),
            (directory.path().display().to_string(), "unable to load"),
            (file("empty", ""), "unable to load"),
            (file("object", "{}"), "unable to load"),
            (file("list", "[1]"), "unable to load"),
        ];
        for (path, expected) in cases {
            let requested = SecurityProfile::Localhost(path);
            let error = resolve(Some(&requested), &DefaultProfile::BuiltIn, CapabilitySet::EMPTY, &host(true))
                .expect_err("refused");
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
        let requested = SecurityProfile::Localhost("/nowhere".to_owned());
        let error = resolve(Some(&requested), &DefaultProfile::BuiltIn, CapabilitySet::EMPTY, &host(false))
            .expect_err("refused");
        assert!(matches!(error, SeccompError::NotSupported));
    }
}
