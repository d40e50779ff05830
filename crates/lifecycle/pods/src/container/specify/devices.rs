//! The devices of a container: those of its request, of the configuration, of the node for a privileged one, and what
//! the names of the Container Device Interface bring.

use std::path::Path;

use crio_devices::cdi::{self, Owner};
use crio_devices::{Edits, HostDevice};
use crio_security::user::ResolvedUser;
use crio_types::Device;
use tracing::warn;

use crate::PodError;
use crate::context::Context;
use crate::record::ContainerRecord;
use crate::sandbox::Sandbox;

/// Annotations that name devices of the node, the older key first.
const ANNOTATIONS: [&str; 2] = ["io.kubernetes.cri-o.Devices", "devices.crio.io"];

/// The device nodes, and everything else that devices bring.
pub(super) fn resolve(
    context: &Context,
    sandbox: &Sandbox,
    record: &ContainerRecord,
    user: &ResolvedUser,
) -> Result<(Vec<HostDevice>, Edits), PodError> {
    let step = || PodError::step("resolving the devices", format!("container {:?}", record.config.metadata.name));
    let has_all = record.config.security.privileged && !sandbox.handler().config.privileged_without_host_devices;
    let mut devices = context.config.additional_devices.clone();
    if has_all {
        devices.extend(crio_devices::all_host_devices(Path::new("/dev")).map_err(step())?);
    }
    for device in &annotated(context, sandbox, record)? {
        devices.extend(crio_devices::resolve(device).map_err(step())?);
    }
    for device in &record.config.devices {
        if has_all {
            crio_devices::check_privileged(device).map_err(step())?;
        }
        let resolved = crio_devices::resolve(device).map_err(step())?;
        devices.extend(resolved.into_iter().map(|device| owned(context, record, user, device)));
    }
    let mut edits = interface(context, record, user)?;
    devices.append(&mut edits.devices);
    Ok((devices, edits))
}

/// The devices that the pod's annotations name, where the runtime handler allows such annotations.
fn annotated(context: &Context, sandbox: &Sandbox, record: &ContainerRecord) -> Result<Vec<Device>, PodError> {
    let allowed = &sandbox.handler().config.allowed_annotations;
    if !ANNOTATIONS.iter().any(|key| allowed.iter().any(|allowed| !allowed.is_empty() && key.starts_with(allowed))) {
        return Ok(Vec::new());
    }
    let pod = sandbox.record();
    let lists = ANNOTATIONS.iter().filter_map(|key| pod.config.annotations.get(*key));
    let mut devices = Vec::new();
    for list in lists {
        let parsed = crio_devices::parse_annotation(list, &context.config.allowed_devices);
        let of = format!("container {:?}", record.config.metadata.name);
        devices.extend(parsed.map_err(PodError::step("reading the devices annotation", of))?);
    }
    Ok(devices)
}

/// A requested device, given to the user and group the request runs the container as, when that is configured.
fn owned(context: &Context, record: &ContainerRecord, user: &ResolvedUser, device: HostDevice) -> HostDevice {
    let security = &record.config.security;
    let mut device = device;
    if context.config.device_ownership_from_security_context {
        device.uid = security.run_as_user.map_or(device.uid, |_| user.uid);
        device.gid = security.run_as_group.map_or(device.gid, |_| user.gid);
    }
    device
}

/// What the devices bring that the request names by their interface, in its field or in annotations.
fn interface(context: &Context, record: &ContainerRecord, user: &ResolvedUser) -> Result<Edits, PodError> {
    let mut names = record.config.cdi_devices.clone();
    names.extend(cdi::annotated(&record.config.annotations));
    let owner = Owner { uid: user.uid, gid: user.gid };
    let resolved = cdi::resolve(&context.live.load().cdi_spec_dirs, &names, owner);
    let of = format!("container {:?}", record.config.metadata.name);
    let (edits, skipped) = resolved.map_err(PodError::step("resolving the devices", of))?;
    for specification in skipped {
        let path = specification.path.display();
        warn!(%path, reason = specification.reason, "a CDI specification was not read");
    }
    Ok(edits)
}
