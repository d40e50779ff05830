//! `volumes` of a pod: directories that live as long as it, paths of the host, and images.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::container::{POLICIES, default_policy};
use super::fields::{Fields, ManifestError};
use super::{HostPathKind, Volume};

/// Reads the pod's volumes by name.
pub fn read_list(spec: &mut Fields) -> Result<BTreeMap<String, Volume>, ManifestError> {
    let mut volumes = BTreeMap::new();
    for mut fields in spec.objects("volumes")? {
        let path = fields.path("name");
        let name = fields.required_name("name")?;
        let volume = read(&mut fields)?;
        fields.finish(&[])?;
        if volumes.insert(name.clone(), volume).is_some() {
            return Err(ManifestError::new(path, format!("{name:?} is the name of another volume")));
        }
    }
    Ok(volumes)
}

fn read(fields: &mut Fields) -> Result<Volume, ManifestError> {
    if let Some(host_path) = fields.object("hostPath")? {
        return read_host_path(host_path);
    }
    if let Some(mut empty) = fields.object("emptyDir")? {
        empty.word("medium", &[("", ())])?;
        empty.finish(&[])?;
        return Ok(Volume::EmptyDir);
    }
    if let Some(mut image) = fields.object("image")? {
        let reference = image.required_text("reference")?;
        let pull = image.word("pullPolicy", &POLICIES)?.unwrap_or_else(|| default_policy(&reference));
        image.finish(&[])?;
        return Ok(Volume::Image { reference, pull });
    }
    Err(ManifestError::new(fields.path("(source)"), "only emptyDir, hostPath and image are supported"))
}

fn read_host_path(mut fields: Fields) -> Result<Volume, ManifestError> {
    const KINDS: [(&str, HostPathKind); 8] = [
        ("", HostPathKind::Any),
        ("Directory", HostPathKind::Directory),
        ("DirectoryOrCreate", HostPathKind::DirectoryOrCreate),
        ("File", HostPathKind::File),
        ("FileOrCreate", HostPathKind::FileOrCreate),
        ("Socket", HostPathKind::Socket),
        ("CharDevice", HostPathKind::CharDevice),
        ("BlockDevice", HostPathKind::BlockDevice),
    ];
    let where_to = fields.path("path");
    let path = PathBuf::from(fields.required_text("path")?);
    let kind = fields.word("type", &KINDS)?.unwrap_or(HostPathKind::Any);
    fields.finish(&[])?;
    if !path.is_absolute() || path.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(ManifestError::new(where_to, "has to be absolute and without .."));
    }
    Ok(Volume::HostPath { path, kind })
}
