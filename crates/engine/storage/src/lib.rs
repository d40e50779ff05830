//! The containers/storage layout on disk: layers, images, containers and the overlay driver.
//!
//! One [`Store`] is one graph root, shared with podman, buildah and skopeo through the same files and the same locks:
//! whatever one program writes the others see. Every call may block on the disk or on another program's lock, so
//! asynchronous callers use `spawn_blocking`; the lists ([`Store::images`], [`Store::containers`]) are snapshots that
//! are read again only when somebody wrote.
//!
//! Images are durable: a layer is synced, renamed into place and only then indexed. Containers are volatile: their
//! records and mounts are never synced, and a reboot forgets them (as CRI-O configures its containers).
//!
//! Map: `store` is the API; `index` the locked JSON tables; `record` their rows; `overlay` the driver's directories
//! and mounts; `staging` and `apply` turn a tar stream into a layer; `tar_split` keeps what is needed to give the
//! same stream back; `changes` what a container made of its root; `members` reads other archives.

mod apply;
mod changes;
mod config;
mod error;
mod index;
mod layer_id;
mod members;
mod overlay;
mod record;
mod staging;
mod store;
mod tar;
mod tar_split;

pub use changes::Changes;
pub use config::{ApplyLimits, Config};
pub use error::{ApplyError, AssembleError, StoreError, TableError};
pub use layer_id::layer_id;
pub use members::{Member, MemberKind, Members};
pub use overlay::ImageMountOptions;
pub use record::{Compression, ContainerRecord, ImageRecord, LayerRecord};
pub use staging::{AppliedDiff, StagedLayer};
pub use store::{IdMappings, ImportError, LayerInfo, NewContainer, NewImage, Store, Usage};
