//! A container out of a checkpoint: CreateContainer with an archive's path for an image, then StartContainer.
//!
//! The container is planned and specified from the request, like any other; the archive brings the image's id, what changed
//! in the root, and the state of the processes. That state says with which rights they go on, whatever the specification
//! says. So an archive is restored only when a daemon on this host wrote it, and only into a container whose specification
//! grants the same rights as the one it was written of: then the two cannot disagree.
//!
//! The root may hold links that a hostile container left there before it was checkpointed. A place where something is to
//! be mounted must lie where the image alone has it.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crio_checkpoint::{Checkpoint, Patience, ReadError};
use crio_images::ResolvedImage;
use crio_runtime::{CheckpointFiles, MonitorError};
use crio_storage::{ApplyLimits, ImportError};
use crio_sys::confined::Root;
use crio_types::{Classified, ErrorKind, ImageSpec};
use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags};
use serde_json::Value;

use crate::PodError;
use crate::config::Checkpoints;
use crate::container::checkpoint::criu_errors;
use crate::container::create::{Plan, runtime_request, verify_mounts};
use crate::container::{Container, mounts, rights};
use crate::context::Context;
use crate::sandbox::Sandbox;

/// Time to read an archive once.
const READ_LIMIT: Duration = Duration::from_secs(600);
/// CRIU's log of a restore.
const RESTORE_LOG: &str = "restore.log";
/// What an archive may change in a root.
const ROOT_LIMITS: ApplyLimits = ApplyLimits {
    entries: 2_000_000,
    archive_bytes: 64 << 30,
    path_bytes: 4096,
    header_bytes: 256 << 10,
    sparse_regions: 1 << 16,
};

/// An archive that was named in place of an image, and the image it is of.
pub(crate) struct Origin {
    pub(crate) checkpoint: Arc<Checkpoint>,
    pub(crate) image: ResolvedImage,
}

/// The archive that the request names in place of an image, if it does: an absolute path is no image's name.
pub(crate) async fn origin(
    context: &Arc<Context>,
    sandbox: &Sandbox,
    image: &ImageSpec,
) -> Result<Option<Origin>, PodError> {
    if !image.image.starts_with('/') {
        return Ok(None);
    }
    if context.config.checkpoints < Checkpoints::Restored {
        return Err(PodError::CheckpointsOff { what: "restored" });
    }
    if sandbox.record().config.security.namespaces.user.is_some() {
        // What it takes to mount for a user namespace is gone by the time of the start.
        let reason = "its pod has a user namespace".to_owned();
        return Err(PodError::CheckpointUnfit { archive: image.image.clone(), reason });
    }
    let able = sandbox.handler().check_checkpoints();
    able.map_err(PodError::step("looking for what checkpoints need", &image.image))?;
    let path = PathBuf::from(&image.image);
    let open = move || {
        let opened = Checkpoint::open(&path, &Patience::until(Instant::now() + READ_LIMIT));
        opened.map_err(PodError::step("opening the checkpoint", path.display()))
    };
    let checkpoint = context.blocking("CreateContainer", open).await?;
    let metadata = &checkpoint.metadata;
    let names = [&metadata.rootfs_image_ref, &metadata.rootfs_image_name, &metadata.rootfs_image];
    let name = names.into_iter().find(|name| !name.is_empty()).cloned().unwrap_or_default();
    let base = context.engines.images.prepare(&ImageSpec { image: name, ..image.clone() }).await;
    let base = base.map_err(PodError::step("preparing the checkpoint's image", &image.image))?;
    Ok(Some(Origin { checkpoint: Arc::new(checkpoint), image: base }))
}

/// The command of the container that was checkpointed. Nothing runs it; the specification wants one.
pub(crate) fn command(checkpoint: &Checkpoint) -> Vec<String> {
    let words = checkpoint.spec["process"]["args"].as_array();
    words.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The directory of what is unpacked, in the container's own.
pub(crate) fn directory(context: &Context, plan: &Plan) -> PathBuf {
    context.engines.store.container_dir(&plan.record.id).join("checkpoint-to-restore")
}

fn files(directory: &Path) -> CheckpointFiles {
    CheckpointFiles { images: directory.join("images"), work: directory.join("work") }
}

/// Brings the archive's part into a container whose root is mounted and whose specification is `spec`.
pub(crate) fn unpack(
    context: &Context,
    plan: &Plan,
    checkpoint: &Checkpoint,
    rootfs: &Path,
    spec: &Spec,
) -> Result<(), PodError> {
    let unfit = |reason| PodError::CheckpointUnfit { archive: plan.record.config.image.image.clone(), reason };
    let wanted = serde_json::to_value(spec)
        .map_err(|error| PodError::file("encoding", Path::new("config.json"))(error.into()))?;
    rights::check(&checkpoint.spec, &wanted).map_err(unfit)?;
    let files = files(&directory(context, plan));
    for path in [&files.images, &files.work] {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(PodError::file("creating", path))?;
    }
    let points: Vec<PathBuf> = spec.mounts().iter().flatten().map(|mount| mount.destination().clone()).collect();
    let before = places(rootfs, &points)?;
    let store = &context.engines.store;
    let id = &plan.record.id;
    let of = || format!("container {id}");
    let patience = Patience::until(Instant::now() + READ_LIMIT);
    let unpacked = checkpoint.unpack(&files.images, &patience, |archive| {
        store.import_changes(id, archive, &ROOT_LIMITS).map_err(UnpackError::Root)
    });
    let unpacked = unpacked.map_err(PodError::step("unpacking the checkpoint", of()))?;
    let removed = store.remove_paths(id, &unpacked.deleted);
    removed.map_err(PodError::step("removing what the checkpoint has not", of()))?;
    let moved: BTreeSet<PathBuf> =
        places(rootfs, &points)?.difference(&before).map(|(point, _)| point.clone()).collect();
    match moved.first() {
        None => Ok(()),
        Some(point) => Err(unfit(format!("in its root the way to {} leads elsewhere", point.display()))),
    }
}

/// What ended the unpacking of an archive.
#[derive(Debug, thiserror::Error)]
enum UnpackError {
    #[error(transparent)]
    Archive(#[from] ReadError),
    #[error(transparent)]
    Root(ImportError),
}

impl Classified for UnpackError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Archive(error) => error.kind(),
            Self::Root(error) => error.kind(),
        }
    }
}

/// Where paths lie in a root, with every link resolved: as far as they exist, the rest as it is written.
fn places(rootfs: &Path, points: &[PathBuf]) -> Result<BTreeSet<(PathBuf, PathBuf)>, PodError> {
    let root = Root::open(rootfs).map_err(PodError::file("opening", rootfs))?;
    let place = |point: &PathBuf| {
        let place = place(&root, point).map_err(PodError::file("resolving", point))?;
        Ok((point.clone(), place))
    };
    points.iter().map(place).collect()
}

fn place(root: &Root, point: &Path) -> io::Result<PathBuf> {
    for ancestor in point.ancestors() {
        match root.open_at(ancestor, OFlags::PATH, Mode::empty()) {
            Ok(found) => {
                let real = std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd()))?;
                return Ok(real.join(point.strip_prefix(ancestor).unwrap_or(Path::new(""))));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Has the runtime make the container and its processes, which run when this succeeds. What it mounted can be looked at only
/// then; whoever swapped a source meanwhile has his container ended.
pub(crate) async fn restore(
    context: &Arc<Context>,
    container: &Container,
    directory: &Path,
) -> Result<(), RestoreError> {
    let sandbox = container.sandbox();
    let monitor = sandbox.need_monitor()?;
    let record = container.record();
    let mounts = record.mounts.clone();
    let expected = context.blocking("StartContainer", move || mounts::reopen(&mounts)).await?;
    let request = runtime_request(context, sandbox, &record)?;
    let files = files(directory);
    let log = files.work.join(RESTORE_LOG);
    let restored = monitor.restore(request, files).await;
    let restored = restored.map_err(|error| RestoreError::Runtime { error, said: criu_errors(&log) })?;
    container.restored(restored.pid, restored.start_time)?;
    verify_mounts(context, &container.record(), expected).await?;
    let doomed = directory.to_owned();
    let remove = move || crio_sys::confined::remove_tree(&doomed).map_err(PodError::file("removing", &doomed));
    // It has been read. What cannot be removed now goes with the container.
    drop(context.blocking("StartContainer", remove).await);
    Ok(())
}

/// Why a container could not be made out of its checkpoint.
#[derive(Debug)]
pub(crate) enum RestoreError {
    /// Before the runtime was asked, or after it had done it.
    Ours(PodError),
    /// The runtime refused.
    Runtime { error: MonitorError, said: Option<String> },
}

impl From<PodError> for RestoreError {
    fn from(error: PodError) -> Self {
        Self::Ours(error)
    }
}

impl RestoreError {
    /// The monitor has the container already: an earlier daemon had it restored, or is at it.
    pub(crate) fn is_known(&self) -> bool {
        matches!(self, Self::Runtime { error, .. } if error.kind() == ErrorKind::AlreadyExists)
    }

    pub(crate) fn into_pod_error(self, container: &Container) -> PodError {
        match self {
            Self::Ours(error) => error,
            Self::Runtime { error, said } => {
                PodError::criu("restoring the processes", format!("container {}", container.id()), said, error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_place_is_where_the_kernel_would_mount() {
        let path = std::env::temp_dir().join(format!("crio-pods-places-{}", std::process::id()));
        std::fs::create_dir_all(path.join("run/real")).expect("made");
        symlink("/run", path.join("var")).expect("made");
        symlink("../../../../etc", path.join("out")).expect("made");
        let points: Vec<PathBuf> =
            ["/run/real", "/var/real/secrets/x", "/out/passwd", "/none/at/all", "/"].map(PathBuf::from).to_vec();
        let found = places(&path, &points).expect("resolved");
        let real = std::fs::canonicalize(&path).expect("resolved");
        let expected = [
            ("/run/real", "run/real"),
            ("/var/real/secrets/x", "run/real/secrets/x"),
            ("/out/passwd", "out/passwd"),
            ("/none/at/all", "none/at/all"),
            ("/", ""),
        ];
        for (point, place) in expected {
            let place = real.join(place);
            let found = &found.iter().find(|(other, _)| other == Path::new(point)).expect("there").1;
            assert_eq!(found.components().as_path(), place.components().as_path(), "{point}");
        }
        std::fs::remove_dir_all(&path).expect("removed");
    }
}
