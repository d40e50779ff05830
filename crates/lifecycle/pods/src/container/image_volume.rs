//! Images mounted as volumes (CRI `Mount.image`, KEP-4639).
//!
//! An image is held before the container's record names it, so that nothing removes it while the container is there. It
//! is mounted by its layers, read-only, below the container's run directory, and taken off when the container goes. A
//! sub-path is resolved inside that mount, whatever links the image holds; nobody can change the mount, so what was
//! found stays what it is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crio_images::{ImageHold, ResolveError};
use crio_storage::{ImageMountOptions, Store, StoreError};
use crio_sys::confined::Root;
use crio_types::{Classified, ContainerConfig, ContainerId, ErrorKind, ImageId, ImageMount};
use rustix::fs::FileType;
use serde::{Deserialize, Serialize};

use crate::PodError;
use crate::context::Context;
use crate::record::ContainerRecord;

/// An image a container mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageVolume {
    /// Which of the request's mounts it is.
    pub(crate) mount: usize,
    /// The image's id.
    pub(crate) image_id: ImageId,
    /// Its repository digest, or its id when it has none.
    pub(crate) image_ref: String,
    /// Where it is mounted.
    pub(crate) target: PathBuf,
}

/// The images a container mounts, each kept from being removed for as long as this lives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holds {
    _held: Arc<[ImageHold]>,
}

/// Why an image cannot be mounted. Kubelet looks for the first word.
#[derive(Debug, thiserror::Error)]
enum VolumeError {
    #[error("ImageVolumeMountFailed: image {image} went away")]
    Gone { image: String },
    #[error("ImageVolumeMountFailed")]
    Resolve(#[source] ResolveError),
    #[error("ImageVolumeMountFailed: image {image}")]
    Mount { image: ImageId, source: StoreError },
    #[error("ImageVolumeMountFailed: {sub_path:?} in image {image}")]
    SubPath { image: ImageId, sub_path: String, source: io::Error },
}

impl Classified for VolumeError {
    fn kind(&self) -> ErrorKind {
        // Kubelet strips the code only of Unknown and then matches the prefix.
        ErrorKind::Unknown
    }
}

/// Finds and holds the images that a request mounts; `directory` is the container's own.
pub(crate) async fn plan(
    context: &Arc<Context>,
    id: &ContainerId,
    directory: &Path,
    config: &ContainerConfig,
) -> Result<(Vec<ImageVolume>, Holds), PodError> {
    let (mut volumes, mut held) = (Vec::new(), Vec::new());
    for (mount, image) in config.mounts.iter().enumerate().filter_map(|(n, mount)| Some((n, mount.image.as_ref()?))) {
        let of = || format!("container {:?}", config.metadata.name);
        let resolved = context.engines.images.prepare(&image.image).await.map_err(VolumeError::Resolve);
        let resolved = resolved.map_err(PodError::step("preparing an image volume", of()))?;
        let (shared, image_id, holder) = (Arc::clone(context), resolved.id.clone(), format!("container {id}"));
        let hold = move || {
            let hold = shared.engines.images.hold_present(&image_id, &holder);
            hold.map_err(PodError::step("keeping an image", &holder))
        };
        let gone = VolumeError::Gone { image: image.image.image.clone() };
        let hold = context.blocking("CreateContainer", hold).await?;
        held.push(hold.ok_or(gone).map_err(PodError::step("preparing an image volume", of()))?);
        let target = directory.join(format!("image-{mount}"));
        volumes.push(ImageVolume { mount, image_id: resolved.id, image_ref: resolved.image_ref, target });
    }
    Ok((volumes, Holds { _held: held.into() }))
}

/// Holds again what a container of an earlier daemon mounts.
pub(crate) fn hold(context: &Context, record: &ContainerRecord) -> Holds {
    let holder = format!("container {}", record.id);
    let hold = |volume: &ImageVolume| context.engines.images.hold(&volume.image_id, &holder);
    Holds { _held: record.image_volumes.iter().map(hold).collect() }
}

/// Mounts a volume and finds what the container shall see of it.
pub(crate) fn mount(
    store: &Store,
    volume: &ImageVolume,
    image: &ImageMount,
    how: ImageMountOptions<'_>,
    of: &ContainerId,
) -> Result<PathBuf, PodError> {
    let target = &volume.target;
    std::fs::create_dir_all(target).map_err(PodError::file("creating", target))?;
    let failed = || PodError::step("mounting an image volume", format!("container {of}"));
    let mounted = store.mount_image(&volume.image_id, target, how);
    mounted.map_err(|source| VolumeError::Mount { image: volume.image_id.clone(), source }).map_err(failed())?;
    let found = resolve(target, &image.sub_path).map_err(|source| VolumeError::SubPath {
        image: volume.image_id.clone(),
        sub_path: image.sub_path.clone(),
        source,
    });
    found.map_err(failed())
}

/// Takes a volume off. One that is not mounted is fine.
pub(crate) fn release(store: &Store, volume: &ImageVolume, of: &ContainerId) -> Result<(), PodError> {
    store.unmount_image(&volume.target).map_err(PodError::step("taking an image volume off", of))
}

/// A path inside a mounted image, seen from outside. Only directories and regular files can be volumes.
fn resolve(target: &Path, sub_path: &str) -> io::Result<PathBuf> {
    let (path, kind) = Root::open(target)?.real_path(Path::new(sub_path))?;
    match kind {
        FileType::Directory | FileType::RegularFile => Ok(path),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a directory nor a regular file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_path_leads_nowhere_but_into_the_image() {
        let top = std::env::temp_dir().join(format!("crio-image-volume-{}", std::process::id()));
        let image = top.join("image");
        std::fs::create_dir_all(image.join("data/deep")).expect("made");
        std::fs::write(top.join("outside"), "").expect("written");
        std::fs::write(image.join("file"), "").expect("written");
        for (name, to) in [("abs", "/data"), ("up", "../../../../data/deep"), ("out", "../outside"), ("loop", "loop")] {
            std::os::unix::fs::symlink(to, image.join(name)).expect("linked");
        }
        let socket = std::os::unix::net::UnixListener::bind(image.join("socket")).expect("bound");
        let cases = [
            ("", Some("")),
            ("data", Some("data")),
            ("./data/deep/", Some("data/deep")),
            ("file", Some("file")),
            ("abs/deep", Some("data/deep")),
            ("up", Some("data/deep")),
            ("out", None),
            ("loop", None),
            ("socket", None),
            ("missing", None),
            ("../outside", None),
            ("/../../outside", None),
        ];
        let real = std::fs::canonicalize(&image).expect("there");
        for (sub_path, expected) in cases {
            let found = resolve(&image, sub_path).ok();
            assert_eq!(found, expected.map(|below| real.join(below).components().collect()), "{sub_path:?}");
        }
        drop(socket);
        std::fs::remove_dir_all(&top).expect("removed");
    }
}
