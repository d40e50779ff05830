//! The archive of a container's checkpoint: written, proved to be ours, and taken apart.
//!
//! It is the tar archive that CRI-O and podman write and `checkpointctl` reads:
//!
//! | member | what it holds |
//! |---|---|
//! | `config.dump` | which container it was, and of which image ([`Metadata`]) |
//! | `spec.dump` | its OCI specification |
//! | `checkpoint/` | the state of its processes, as CRIU wrote it |
//! | `rootfs-diff.tar`, `deleted.files` | what it changed in its root |
//! | `bind.mounts` | what was mounted into it from the host |
//! | `io.kubernetes.cri-o.LogPath` | its log |
//! | `dump.log`, `stats-dump` | what CRIU said about its work |
//!
//! Restoring one is as much trust as running a program with the rights of the container it came from, and more: CRIU
//! gives processes the identities, capabilities and system call filters that the state names. So an archive is restored
//! only when it is known to be what a daemon on this host wrote: its digest stands in an extended attribute
//! ([`mark`]) that only the host's administrator can set. What is restored is nevertheless read as if it were hostile.
//!
//! `write` makes an archive, `read` takes one apart, `patience` ends both when nobody waits any more.

pub mod mark;
mod member;
mod metadata;
mod patience;
mod read;
mod write;

pub use member::{BIND_MOUNTS, CONFIG_DUMP, DELETED_FILES, DUMP_LOG, IMAGES, LOG, ROOTFS_DIFF, SPEC_DUMP, STATS_DUMP};
pub use metadata::{BindMount, Metadata, moment};
pub use patience::Patience;
pub use read::{Checkpoint, ReadError, Unpacked};
pub use write::{ArchiveWriter, WriteError};
