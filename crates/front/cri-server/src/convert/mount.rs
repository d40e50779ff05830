//! Mounts and devices.
//!
//! A mount has a host path or an image, never both. A recursive read-only mount must be read-only and private, as
//! the CRI text says, and so is an image, whose sub-path stays inside it. A status gives back exactly the mounts of the
//! request.

use std::path::{Component, Path};

use crio_cri_api::v1;
use crio_types::{Device, ImageMount, Mount, Propagation};

use super::field::{DecodeError, absolute_path, encode_id_mappings, id_mappings, known, without_nul};
use super::image;

/// What `Mount.mount_options` may hold.
const MOUNT_OPTIONS: [&str; 3] = ["noexec", "nodev", "nosuid"];

/// A mount a container asks for.
pub(crate) fn decode(field: &str, mount: v1::Mount) -> Result<Mount, DecodeError> {
    let at = |name: &str| format!("{field}.{name}");
    let propagation = decode_propagation(&at("propagation"), mount.propagation)?;
    check_recursive_read_only(&at("recursive_read_only"), &mount, propagation)?;
    let image = match mount.image {
        None if mount.image_sub_path.is_empty() => None,
        None => return Err(DecodeError::new(at("image_sub_path"), "the mount has no image")),
        Some(_) if propagation != Propagation::Private => {
            return Err(DecodeError::new(at("propagation"), "an image can only be mounted PROPAGATION_PRIVATE"));
        }
        Some(image) => Some(ImageMount {
            image: image::decode_spec(&at("image"), Some(image))?,
            sub_path: sub_path(&at("image_sub_path"), mount.image_sub_path)?,
            image_ref: String::new(),
        }),
    };
    let host_path = match &image {
        None => absolute_path(&at("host_path"), mount.host_path)?,
        Some(_) if mount.host_path.is_empty() => String::new(),
        Some(_) => {
            return Err(DecodeError::new(at("host_path"), "an image is mounted: the host path must be empty"));
        }
    };
    if let Some(option) = mount.mount_options.iter().find(|option| !MOUNT_OPTIONS.contains(&option.as_str())) {
        let reason = format!("{option:?} is none of {}", MOUNT_OPTIONS.join(", "));
        return Err(DecodeError::new(at("mount_options"), reason));
    }
    Ok(Mount {
        container_path: absolute_path(&at("container_path"), mount.container_path)?,
        host_path,
        readonly: mount.readonly,
        selinux_relabel: mount.selinux_relabel,
        propagation,
        uid_mappings: id_mappings(&at("uidMappings"), &mount.uid_mappings)?,
        gid_mappings: id_mappings(&at("gidMappings"), &mount.gid_mappings)?,
        recursive_read_only: mount.recursive_read_only,
        image,
        options: mount.mount_options,
    })
}

/// A path below an image's root. Links in the image are another matter: they are followed where the image is mounted.
fn sub_path(field: &str, path: String) -> Result<String, DecodeError> {
    let path = without_nul(field, path)?;
    match Path::new(&path).components().find(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        None => Ok(path),
        Some(_) => Err(DecodeError::new(field, format!("{path:?} is not a relative path without \"..\""))),
    }
}

fn decode_propagation(field: &str, value: i32) -> Result<Propagation, DecodeError> {
    Ok(match known(field, value)? {
        v1::MountPropagation::PropagationPrivate => Propagation::Private,
        v1::MountPropagation::PropagationHostToContainer => Propagation::HostToContainer,
        v1::MountPropagation::PropagationBidirectional => Propagation::Bidirectional,
    })
}

fn check_recursive_read_only(field: &str, mount: &v1::Mount, propagation: Propagation) -> Result<(), DecodeError> {
    if !mount.recursive_read_only {
        Ok(())
    } else if !mount.readonly {
        Err(DecodeError::new(field, "the mount is not readonly"))
    } else if propagation != Propagation::Private {
        Err(DecodeError::new(field, "the propagation is not PROPAGATION_PRIVATE"))
    } else {
        Ok(())
    }
}

/// A mount as a status shows it.
pub(crate) fn encode(mount: &Mount) -> v1::Mount {
    let propagation = match mount.propagation {
        Propagation::Private => v1::MountPropagation::PropagationPrivate,
        Propagation::HostToContainer => v1::MountPropagation::PropagationHostToContainer,
        Propagation::Bidirectional => v1::MountPropagation::PropagationBidirectional,
    };
    v1::Mount {
        container_path: mount.container_path.clone(),
        host_path: mount.host_path.clone(),
        readonly: mount.readonly,
        selinux_relabel: mount.selinux_relabel,
        propagation: propagation.into(),
        uid_mappings: encode_id_mappings(&mount.uid_mappings),
        gid_mappings: encode_id_mappings(&mount.gid_mappings),
        recursive_read_only: mount.recursive_read_only,
        image: mount.image.as_ref().map(|mounted| v1::ImageSpec {
            image_ref: mounted.image_ref.clone(),
            ..image::encode_spec(&mounted.image)
        }),
        image_sub_path: mount.image.as_ref().map(|mounted| mounted.sub_path.clone()).unwrap_or_default(),
        mount_options: mount.options.clone(),
    }
}

/// A host device a container asks for.
pub(crate) fn decode_device(field: &str, device: v1::Device) -> Result<Device, DecodeError> {
    if let Some(letter) = device.permissions.chars().find(|letter| !"rwm".contains(*letter)) {
        let reason = format!("{letter:?} is none of r, w, m");
        return Err(DecodeError::new(format!("{field}.permissions"), reason));
    }
    Ok(Device {
        container_path: without_nul(&format!("{field}.container_path"), device.container_path)?,
        host_path: absolute_path(&format!("{field}.host_path"), device.host_path)?,
        permissions: device.permissions,
    })
}
