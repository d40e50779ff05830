//! Profiles in files, in the format Docker and `containers/common` write: OCI rules with conditions.
//!
//! A rule counts when the container has all capabilities it includes, none it excludes, and the machine and kernel
//! fit. A file in the plain OCI format is the same without conditions. Unknown keys are ignored, as everywhere these
//! files are read; an unknown action, operator or errno name refuses the whole file, because leaving a rule out
//! could open what it closes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompFilterFlag, LinuxSyscall};

use crate::CapabilitySet;
use crate::capability::CapabilityError;

mod errno;
mod file;

use file::{FileArchitecture, FileProfile, errno_of};

/// The largest profile that is read, in bytes.
pub const MAX_PROFILE_BYTES: u64 = 1 << 20;

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It cannot be opened or read.
    #[error("cannot read the file")]
    Read(#[source] io::Error),
    /// Not a regular file.
    #[error("it is not a regular file")]
    NotRegular,
    /// Larger than any profile.
    #[error("it is larger than {MAX_PROFILE_BYTES} bytes")]
    TooLarge,
    /// Not JSON of the right shape.
    #[error("it is not a seccomp profile")]
    Parse(#[source] serde_json::Error),
    /// Both ways to name architectures.
    #[error("both \"architectures\" and \"archMap\" are given; one of them is allowed")]
    Architectures,
    /// A rule with both or neither of `name` and `names`.
    #[error("rule {index}: one of \"name\" and \"names\" is needed")]
    Names {
        /// Number of the rule, from zero.
        index: usize,
    },
    /// An errno nobody knows.
    #[error("unknown errno {name:?}")]
    Errno {
        /// As it was given.
        name: String,
    },
    /// A condition on a capability that does not exist.
    #[error("rule {index}")]
    Capability {
        /// Number of the rule, from zero.
        index: usize,
        /// Which.
        source: CapabilityError,
    },
    /// A condition on a kernel version that is none.
    #[error("rule {index}: kernel version {version:?} is not of the form major.minor")]
    Kernel {
        /// Number of the rule, from zero.
        index: usize,
        /// As it was given.
        version: String,
    },
}

/// A profile, checked: making a filter of it cannot fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    default_action: LinuxSeccompAction,
    default_errno: Option<u32>,
    architectures: Vec<Arch>,
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    listener_path: Option<PathBuf>,
    listener_metadata: Option<String>,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    syscall: LinuxSyscall,
    includes: Condition,
    excludes: Condition,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    capabilities: CapabilitySet,
    machines: Vec<String>,
    kernel: Option<(u32, u32)>,
}

impl Profile {
    /// Reads the profile at `path`, a regular file of at most [`MAX_PROFILE_BYTES`].
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub fn read(path: &Path) -> Result<Self, ProfileError> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = File::options()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(path)
            .map_err(ProfileError::Read)?;
        if !file.metadata().map_err(ProfileError::Read)?.is_file() {
            return Err(ProfileError::NotRegular);
        }
        let mut content = Vec::new();
        file.take(MAX_PROFILE_BYTES + 1).read_to_end(&mut content).map_err(ProfileError::Read)?;
        if content.len() as u64 > MAX_PROFILE_BYTES {
            return Err(ProfileError::TooLarge);
        }
        Self::parse(&content)
    }

    /// Understands a profile.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub fn parse(content: &[u8]) -> Result<Self, ProfileError> {
        let file: FileProfile = serde_json::from_slice(content).map_err(ProfileError::Parse)?;
        if !file.architectures.is_empty() && !file.arch_map.is_empty() {
            return Err(ProfileError::Architectures);
        }
        let rules = file.syscalls.into_iter().enumerate().map(|(index, rule)| rule.checked(index));
        Ok(Self {
            default_action: file.default_action,
            default_errno: errno_of(file.default_errno_ret, file.default_errno)?,
            architectures: if file.arch_map.is_empty() { file.architectures } else { mapped(file.arch_map) },
            flags: file.flags,
            listener_path: file.listener_path,
            listener_metadata: file.listener_metadata,
            rules: rules.collect::<Result<_, _>>()?,
        })
    }

    /// The filter for a container with these capabilities on this kernel.
    #[must_use]
    pub fn filter(&self, capabilities: CapabilitySet, kernel: (u32, u32)) -> LinuxSeccomp {
        let applies =
            |rule: &&Rule| rule.includes.admits(capabilities, kernel) && !rule.excludes.bars(capabilities, kernel);
        let syscalls: Vec<LinuxSyscall> = self.rules.iter().filter(applies).map(|rule| rule.syscall.clone()).collect();
        let mut filter = LinuxSeccomp::default();
        filter
            .set_default_action(self.default_action)
            .set_default_errno_ret(self.default_errno)
            .set_architectures((!self.architectures.is_empty()).then(|| self.architectures.clone()))
            .set_flags(self.flags.clone())
            .set_listener_path(self.listener_path.clone())
            .set_listener_metadata(self.listener_metadata.clone())
            .set_syscalls((!syscalls.is_empty()).then_some(syscalls));
        filter
    }
}

impl Condition {
    /// As an inclusion: everything that is named must hold.
    fn admits(&self, capabilities: CapabilitySet, kernel: (u32, u32)) -> bool {
        capabilities.contains(self.capabilities)
            && (self.machines.is_empty() || self.names_this_machine())
            && self.kernel.is_none_or(|minimum| kernel >= minimum)
    }

    /// As an exclusion: anything that is named and holds bars the rule.
    fn bars(&self, capabilities: CapabilitySet, kernel: (u32, u32)) -> bool {
        !self.capabilities.intersection(capabilities).is_empty()
            || self.names_this_machine()
            || self.kernel.is_some_and(|minimum| kernel >= minimum)
    }

    fn names_this_machine(&self) -> bool {
        let own = machine_name();
        self.machines.iter().any(|name| name == own)
    }
}

/// The machine as these files name it, which is Go's way.
fn machine_name() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "x86",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// The machine as the architecture map names it.
fn machine_architecture() -> Arch {
    match std::env::consts::ARCH {
        "x86_64" => Arch::ScmpArchX86_64,
        "x86" => Arch::ScmpArchX86,
        "aarch64" => Arch::ScmpArchAarch64,
        "arm" => Arch::ScmpArchArm,
        "powerpc64" => Arch::ScmpArchPpc64le,
        "s390x" => Arch::ScmpArchS390x,
        "riscv64" => Arch::ScmpArchRiscv64,
        "loongarch64" => Arch::ScmpArchLoongarch64,
        _ => Arch::ScmpArchNative,
    }
}

fn mapped(map: Vec<FileArchitecture>) -> Vec<Arch> {
    let own = machine_architecture();
    map.into_iter()
        .find(|entry| entry.architecture == own)
        .map(|entry| std::iter::once(own).chain(entry.sub_architectures).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
