//! The JSON shape of a profile, and its one way into the checked form.

use std::path::PathBuf;

use oci_spec::runtime::{
    Arch, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompFilterFlag, LinuxSeccompOperator,
    LinuxSyscall,
};
use serde::Deserialize;

use super::{Condition, ProfileError, Rule, errno};
use crate::CapabilitySet;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileProfile {
    pub(super) default_action: LinuxSeccompAction,
    #[serde(default)]
    pub(super) default_errno_ret: Option<u32>,
    #[serde(default)]
    pub(super) default_errno: Option<String>,
    #[serde(default, deserialize_with = "null_as_empty")]
    pub(super) architectures: Vec<Arch>,
    #[serde(default, deserialize_with = "null_as_empty")]
    pub(super) arch_map: Vec<FileArchitecture>,
    #[serde(default)]
    pub(super) flags: Option<Vec<LinuxSeccompFilterFlag>>,
    #[serde(default)]
    pub(super) listener_path: Option<PathBuf>,
    #[serde(default)]
    pub(super) listener_metadata: Option<String>,
    #[serde(default, deserialize_with = "null_as_empty")]
    pub(super) syscalls: Vec<FileRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileArchitecture {
    pub(super) architecture: Arch,
    #[serde(default, deserialize_with = "null_as_empty")]
    pub(super) sub_architectures: Vec<Arch>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileRule {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, deserialize_with = "null_as_empty")]
    names: Vec<String>,
    action: LinuxSeccompAction,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    errno: Option<String>,
    #[serde(default, deserialize_with = "null_as_empty")]
    args: Vec<FileArgument>,
    #[serde(default)]
    includes: FileCondition,
    #[serde(default)]
    excludes: FileCondition,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileArgument {
    index: usize,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: LinuxSeccompOperator,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileCondition {
    #[serde(default, deserialize_with = "null_as_empty")]
    caps: Vec<String>,
    #[serde(default, deserialize_with = "null_as_empty")]
    arches: Vec<String>,
    #[serde(default)]
    min_kernel: Option<String>,
}

/// Go writes an empty list as `null`.
fn null_as_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

impl FileRule {
    pub(super) fn checked(self, index: usize) -> Result<Rule, ProfileError> {
        let name = self.name.filter(|name| !name.is_empty());
        let names = match (name, self.names.is_empty()) {
            (Some(name), true) => vec![name],
            (None, false) => self.names,
            _ => return Err(ProfileError::Names { index }),
        };
        let arguments: Vec<LinuxSeccompArg> = self.args.iter().map(FileArgument::oci).collect();
        let mut syscall = LinuxSyscall::default();
        syscall
            .set_names(names)
            .set_action(self.action)
            .set_errno_ret(errno_of(self.errno_ret, self.errno)?)
            .set_args((!arguments.is_empty()).then_some(arguments));
        Ok(Rule { syscall, includes: self.includes.checked(index)?, excludes: self.excludes.checked(index)? })
    }
}

impl FileArgument {
    fn oci(&self) -> LinuxSeccompArg {
        LinuxSeccompArgBuilder::default()
            .index(self.index)
            .value(self.value)
            .value_two(self.value_two)
            .op(self.op)
            .build()
            .expect("every field has a default")
    }
}

impl FileCondition {
    fn checked(self, index: usize) -> Result<Condition, ProfileError> {
        let capabilities =
            CapabilitySet::parse(&self.caps).map_err(|source| ProfileError::Capability { index, source })?;
        let kernel = match self.min_kernel.filter(|version| !version.is_empty()) {
            Some(version) => Some(kernel(&version).ok_or(ProfileError::Kernel { index, version })?),
            None => None,
        };
        Ok(Condition { capabilities, machines: self.arches, kernel })
    }
}

fn kernel(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The errno a profile means: by name when it names one.
pub(super) fn errno_of(number: Option<u32>, name: Option<String>) -> Result<Option<u32>, ProfileError> {
    match name.filter(|name| !name.is_empty()) {
        Some(name) => errno::number(&name).map(Some).ok_or(ProfileError::Errno { name }),
        None => Ok(number),
    }
}
