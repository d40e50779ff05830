//! Host devices for containers: from a request to nodes and cgroup rules.
//!
//! A request names a node or a directory of nodes on the host; [`resolve`] looks at it once, through symbolic links,
//! and gives back plain [`HostDevice`] values that the specification can carry. [`all_host_devices`] is what a
//! privileged container gets, and [`parse()`] reads the `host:container:permissions` strings of the configuration.
//!
//! Nothing is created here: the OCI runtime makes the nodes. Every walk has a limit, because a request may name any
//! directory. [`cdi`] knows what the names of the Container Device Interface stand for.

pub mod cdi;
mod device;
mod error;
mod inspect;
mod parse;

pub use cdi::{CdiError, Edits, HookPoint};
pub use device::{DeviceKind, HostDevice, Permissions};
pub use error::DeviceError;
pub use inspect::{MAX_DEPTH, MAX_DEVICES, all_host_devices, check_privileged, resolve};
pub use parse::{parse, parse_annotation};
