//! What the devices of a container bring, as parts of its specification.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Hook, LinuxIntelRdt, Mount};

use super::document::{self, ContainerEdits};
use super::{CdiError, QualifiedName};
use crate::inspect::node;
use crate::{DeviceError, DeviceKind, HostDevice, Permissions};

/// Permission bits of a node whose specification names its numbers but no mode.
const DEFAULT_MODE: u32 = 0o666;

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookPoint {
    /// After the namespaces were made (deprecated by the OCI, but used).
    Prestart,
    /// Before the root is changed, in the runtime's namespaces.
    CreateRuntime,
    /// Before the root is changed, in the container's namespaces.
    CreateContainer,
    /// Before the container's own program.
    StartContainer,
    /// After the container's program was started.
    Poststart,
    /// After the container ended.
    Poststop,
}

impl HookPoint {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "prestart" => Self::Prestart,
            "createRuntime" => Self::CreateRuntime,
            "createContainer" => Self::CreateContainer,
            "startContainer" => Self::StartContainer,
            "poststart" => Self::Poststart,
            "poststop" => Self::Poststop,
            _ => return None,
        })
    }
}

/// Whom device nodes belong to that name no owner of their own: the container's user, as other implementations do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// Uid; 0 for the owner on the host.
    pub uid: u32,
    /// Gid; 0 for the group on the host.
    pub gid: u32,
}

/// What is done to a container.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Edits {
    /// Environment variables, names and values.
    pub env: Vec<(String, String)>,
    /// Device nodes.
    pub devices: Vec<HostDevice>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Programs of the node that the runtime runs.
    pub hooks: Vec<(HookPoint, Hook)>,
    /// Groups the container's process is in besides its own.
    pub additional_gids: Vec<u32>,
    /// Class of cache and memory bandwidth.
    pub intel_rdt: Option<LinuxIntelRdt>,
}

impl Edits {
    /// Adds what a specification lists for `name`.
    pub(super) fn add(&mut self, name: &QualifiedName, edits: &ContainerEdits, owner: Owner) -> Result<(), CdiError> {
        let unsupported = |what| Err(CdiError::Unsupported { name: name.clone(), what });
        if !edits.net_devices.is_empty() {
            return unsupported("moving network devices (netDevices)");
        }
        let pairs = edits.env.iter().filter_map(|variable| variable.split_once('='));
        self.env.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for node in &edits.device_nodes {
            if node.kind.as_deref() == Some("p") {
                return unsupported("a FIFO as device node");
            }
            let device = device(node, owner).map_err(|source| CdiError::Node { name: name.clone(), source })?;
            self.devices.push(device);
        }
        self.mounts.extend(edits.mounts.iter().map(mount));
        let hooks = edits.hooks.iter();
        self.hooks
            .extend(hooks.filter_map(|described| Some((HookPoint::parse(&described.hook_name)?, hook(described)))));
        for gid in &edits.additional_gids {
            if !self.additional_gids.contains(gid) {
                self.additional_gids.push(*gid);
            }
        }
        if let Some(asked) = &edits.intel_rdt {
            if asked.cache_monitoring || asked.bandwidth_monitoring {
                return unsupported("monitoring by intelRdt");
            }
            let mut rdt = LinuxIntelRdt::default();
            rdt.set_clos_id(asked.class.clone())
                .set_l3_cache_schema(asked.l3_cache_schema.clone())
                .set_mem_bw_schema(asked.mem_bw_schema.clone());
            self.intel_rdt = Some(rdt);
        }
        Ok(())
    }
}

/// The node as it is on the host, except for what the specification says about it.
fn device(described: &document::DeviceNode, owner: Owner) -> Result<HostDevice, DeviceError> {
    let permissions = Permissions::parse(&described.permissions)?;
    let host_path = PathBuf::from(described.host_path.as_deref().unwrap_or(&described.path));
    let mut device = match described.kind.as_deref() {
        Some(kind @ ("b" | "c" | "u")) if described.major != 0 => HostDevice {
            path: PathBuf::new(),
            kind: if kind == "b" { DeviceKind::Block } else { DeviceKind::Character },
            major: described.major,
            minor: described.minor,
            mode: DEFAULT_MODE,
            uid: 0,
            gid: 0,
            permissions,
        },
        _ => on_host(&host_path, permissions)?,
    };
    device.path = PathBuf::from(&described.path);
    device.mode = described.file_mode.map_or(device.mode, |mode| mode & 0o7777);
    let or_owner = |named: Option<u32>, of_container: u32, of_host: u32| {
        named.unwrap_or(if of_container == 0 { of_host } else { of_container })
    };
    device.uid = or_owner(described.uid, owner.uid, device.uid);
    device.gid = or_owner(described.gid, owner.gid, device.gid);
    Ok(device)
}

fn on_host(path: &Path, permissions: Permissions) -> Result<HostDevice, DeviceError> {
    if !path.exists() {
        return Err(DeviceError::Missing { path: path.to_owned() });
    }
    node(path, permissions)?.ok_or_else(|| DeviceError::NotADevice { path: path.to_owned() })
}

fn mount(described: &document::Mount) -> Mount {
    let kind = described.kind.clone().filter(|kind| !kind.is_empty()).unwrap_or_else(|| "bind".to_owned());
    let mut options = described.options.clone();
    if kind == "bind" && !options.iter().any(|option| option == "bind" || option == "rbind") {
        options.insert(0, "rbind".to_owned());
    }
    let mut mount = Mount::default();
    mount
        .set_destination(PathBuf::from(&described.container_path))
        .set_source(Some(PathBuf::from(&described.host_path)))
        .set_typ(Some(kind))
        .set_options(Some(options));
    mount
}

fn hook(described: &document::Hook) -> Hook {
    let list = |texts: &Vec<String>| (!texts.is_empty()).then(|| texts.clone());
    let mut hook = Hook::default();
    hook.set_path(PathBuf::from(&described.path))
        .set_args(list(&described.args))
        .set_env(list(&described.env))
        .set_timeout(described.timeout);
    hook
}
