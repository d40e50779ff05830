//! The archive of a checkpoint: its members, and what they say about the container.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crio_checkpoint::{
    ArchiveWriter, BIND_MOUNTS, BindMount, CONFIG_DUMP, DELETED_FILES, DUMP_LOG, IMAGES, LOG, Metadata, ROOTFS_DIFF,
    SPEC_DUMP, STATS_DUMP, moment,
};
use crio_storage::Changes;
use crio_types::Timestamp;
use serde_json::Value;

use super::place::Place;
use crate::PodError;
use crate::record::ContainerRecord;

/// What goes into the archive, once the container runs again.
pub(super) struct Archive {
    pub(super) record: ContainerRecord,
    pub(super) handler: String,
    pub(super) changes: Changes,
    /// The length of the log when the container was frozen.
    pub(super) log_bytes: u64,
}

impl Archive {
    /// Writes it.
    pub(super) fn write(self, place: &Place, mut writer: ArchiveWriter) -> Result<(), PodError> {
        let spec = read_spec(&self.record.bundle)?;
        let mounts = bind_mounts(&spec);
        let failed = |error| PodError::step("writing the archive", format!("container {}", self.record.id))(error);
        writer.json(CONFIG_DUMP, &self.metadata()).map_err(failed)?;
        writer.json(SPEC_DUMP, &spec).map_err(failed)?;
        if !mounts.is_empty() {
            writer.json(BIND_MOUNTS, &mounts).map_err(failed)?;
        }
        writer.directory(IMAGES, &place.images()).map_err(failed)?;
        writer.file(ROOTFS_DIFF, &place.diff(), u64::MAX).map_err(failed)?;
        if !self.changes.deleted.is_empty() {
            writer.json(DELETED_FILES, &self.changes.deleted).map_err(failed)?;
        }
        writer.file(LOG, &self.record.log_path, self.log_bytes).map_err(failed)?;
        for name in [DUMP_LOG, STATS_DUMP] {
            writer.file(name, &place.work().join(name), u64::MAX).map_err(failed)?;
        }
        writer.commit().map_err(failed)
    }

    fn metadata(&self) -> Metadata {
        let record = &self.record;
        let specified = &record.config.image.user_specified_image;
        Metadata {
            id: record.id.to_string(),
            name: record.name.clone(),
            rootfs_image: if specified.is_empty() { record.image_name.clone() } else { specified.clone() },
            rootfs_image_ref: record.image_id.to_string(),
            rootfs_image_name: record.image_name.clone(),
            runtime: self.handler.clone(),
            created_time: moment(record.created_at),
            checkpointed_time: moment(Timestamp::now()),
            restored_time: moment(record.restored_at),
            restored: record.restored_at != Timestamp::NEVER,
        }
    }
}

fn read_spec(bundle: &Path) -> Result<Value, PodError> {
    let path = bundle.join("config.json");
    let text = std::fs::read(&path).map_err(PodError::file("reading", &path))?;
    serde_json::from_slice(&text).map_err(|error| PodError::file("decoding", &path)(error.into()))
}

/// What is mounted from the host, so that a restore elsewhere knows whether a missing source is to be a file.
fn bind_mounts(spec: &Value) -> Vec<BindMount> {
    let mounts = spec["mounts"].as_array().into_iter().flatten().filter(|mount| mount["type"] == "bind");
    let describe = |mount: &Value| {
        let source = PathBuf::from(mount["source"].as_str()?);
        let metadata = std::fs::metadata(&source).ok()?;
        Some(BindMount {
            destination: mount["destination"].as_str()?.into(),
            file_type: if metadata.is_dir() { "directory" } else { "file" }.to_owned(),
            permissions: metadata.permissions().mode() & 0o777,
            source,
        })
    };
    mounts.filter_map(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_the_host_are_described() {
        let spec = serde_json::json!({ "mounts": [
            { "type": "proc", "source": "proc", "destination": "/proc" },
            { "type": "bind", "source": "/etc", "destination": "/a" },
            { "type": "bind", "source": "/etc/passwd", "destination": "/b" },
            { "type": "bind", "source": "/no/such/source", "destination": "/c" },
        ] });
        let found: Vec<_> = bind_mounts(&spec).into_iter().map(|m| (m.destination, m.file_type)).collect();
        assert_eq!(found, [("/a".into(), "directory".to_owned()), ("/b".into(), "file".to_owned())]);
    }
}
