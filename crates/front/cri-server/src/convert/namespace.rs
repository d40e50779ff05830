//! Namespace options, with the rules for user namespaces.
//!
//! `CONTAINER` for network and IPC means the pod's, as CRI-O takes it; `TARGET` makes sense for processes only.
//! A user namespace has exactly one uid and one gid mapping, and id 0 is mapped: that is what kubelet sends, and
//! what the OCI runtime and id-mapped mounts can do.

use crio_cri_api::v1;
use crio_types::{NamespaceMode, NamespaceOptions, UserNamespace};

use super::field::{DecodeError, encode_id_mappings, id_mappings, known, non_empty};

/// Whose namespaces are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A sandbox, which has no container to target.
    Sandbox,
    /// A container.
    Container,
}

/// Namespace options; absent ones are those of the pod.
pub(crate) fn decode(
    field: &str,
    owner: Owner,
    options: Option<v1::NamespaceOption>,
) -> Result<NamespaceOptions, DecodeError> {
    let options = options.unwrap_or_default();
    let user = options.userns_options.as_ref().map(|user| decode_user(field, user)).transpose()?.flatten();
    Ok(NamespaceOptions {
        network: shared(&format!("{field}.network"), options.network)?,
        ipc: shared(&format!("{field}.ipc"), options.ipc)?,
        pid: pid(field, owner, options.pid, options.target_id)?,
        user,
    })
}

fn shared(field: &str, mode: i32) -> Result<NamespaceMode, DecodeError> {
    match known(field, mode)? {
        v1::NamespaceMode::Pod | v1::NamespaceMode::Container => Ok(NamespaceMode::Pod),
        v1::NamespaceMode::Node => Ok(NamespaceMode::Node),
        v1::NamespaceMode::Target => Err(DecodeError::new(field, "TARGET is possible for pid only")),
    }
}

fn pid(field: &str, owner: Owner, mode: i32, target_id: String) -> Result<NamespaceMode, DecodeError> {
    let mode_field = format!("{field}.pid");
    match known(&mode_field, mode)? {
        v1::NamespaceMode::Pod => Ok(NamespaceMode::Pod),
        v1::NamespaceMode::Container => Ok(NamespaceMode::Container),
        v1::NamespaceMode::Node => Ok(NamespaceMode::Node),
        v1::NamespaceMode::Target if owner == Owner::Sandbox => {
            Err(DecodeError::new(mode_field, "a sandbox has no container to target"))
        }
        v1::NamespaceMode::Target => Ok(NamespaceMode::Target(non_empty(&format!("{field}.target_id"), target_id)?)),
    }
}

/// The user namespace; `None` is the host's.
fn decode_user(field: &str, user: &v1::UserNamespace) -> Result<Option<UserNamespace>, DecodeError> {
    let field = format!("{field}.userns_options");
    match known(&format!("{field}.mode"), user.mode)? {
        v1::NamespaceMode::Node if user.uids.is_empty() && user.gids.is_empty() => Ok(None),
        v1::NamespaceMode::Node => Err(DecodeError::new(field, "the node's user namespace takes no mappings")),
        v1::NamespaceMode::Pod => {
            let uids = id_mappings(&format!("{field}.uids"), &user.uids)?;
            let gids = id_mappings(&format!("{field}.gids"), &user.gids)?;
            for (name, mappings) in [("uids", &uids), ("gids", &gids)] {
                if mappings.len() != 1 {
                    let reason = format!("{} mappings, exactly one is supported", mappings.len());
                    return Err(DecodeError::new(format!("{field}.{name}"), reason));
                }
                if mappings[0].container_id != 0 {
                    return Err(DecodeError::new(format!("{field}.{name}[0]"), "id 0 of the container is not mapped"));
                }
            }
            let mode = NamespaceMode::Pod;
            Ok(Some(UserNamespace { mode, uids, gids }))
        }
        v1::NamespaceMode::Container | v1::NamespaceMode::Target => {
            Err(DecodeError::new(format!("{field}.mode"), "only POD and NODE are possible"))
        }
    }
}

/// The options as a status echoes them.
pub(crate) fn encode(options: &NamespaceOptions) -> v1::NamespaceOption {
    let target_id = match &options.pid {
        NamespaceMode::Target(id) => id.clone(),
        NamespaceMode::Pod | NamespaceMode::Container | NamespaceMode::Node => String::new(),
    };
    let user = match &options.user {
        Some(user) => v1::UserNamespace {
            mode: mode(&user.mode).into(),
            uids: encode_id_mappings(&user.uids),
            gids: encode_id_mappings(&user.gids),
        },
        None => v1::UserNamespace { mode: v1::NamespaceMode::Node.into(), ..Default::default() },
    };
    v1::NamespaceOption {
        network: mode(&options.network).into(),
        pid: mode(&options.pid).into(),
        ipc: mode(&options.ipc).into(),
        target_id,
        userns_options: Some(user),
    }
}

fn mode(mode: &NamespaceMode) -> v1::NamespaceMode {
    match mode {
        NamespaceMode::Pod => v1::NamespaceMode::Pod,
        NamespaceMode::Container => v1::NamespaceMode::Container,
        NamespaceMode::Node => v1::NamespaceMode::Node,
        NamespaceMode::Target(_) => v1::NamespaceMode::Target,
    }
}
