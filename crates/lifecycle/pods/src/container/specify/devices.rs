//! The devices of a container: those of its request, of the configuration, of the node for a privileged one, and what
//! the names of the Container Device Interface bring.

use std::path::Path;

use crio_devices::cdi::{self, Owner};
use crio_devices::{Edits, HostDevice};
use crio_security::user::ResolvedUser;
use tracing::warn;

use crate::PodError;
use crate::context::Context;
use crate::record::ContainerRecord;
use crate::sandbox::Sandbox;

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
    for device in &record.config.devices {
        if has_all {
            crio_devices::check_privileged(device).map_err(step())?;
        }
        devices.extend(crio_devices::resolve(device).map_err(step())?);
    }
    let mut edits = interface(context, record, user)?;
    devices.append(&mut edits.devices);
    Ok((devices, edits))
}

/// What the devices bring that the request names by their interface, in its field or in annotations.
fn interface(context: &Context, record: &ContainerRecord, user: &ResolvedUser) -> Result<Edits, PodError> {
    let mut names = record.config.cdi_devices.clone();
    names.extend(cdi::annotated(&record.config.annotations));
    let owner = Owner { uid: user.uid, gid: user.gid };
    let resolved = cdi::resolve(&context.config.cdi_spec_dirs, &names, owner);
    let of = format!("container {:?}", record.config.metadata.name);
    let (edits, skipped) = resolved.map_err(PodError::step("resolving the devices", of))?;
    for specification in skipped {
        let path = specification.path.display();
        warn!(%path, reason = specification.reason, "a CDI specification was not read");
    }
    Ok(edits)
}
