//! Confinement: what a container's processes may do, and as whom.
//!
//! [`Security`] is built once from the configuration and the host's abilities, and answers each request with a
//! [`Confinement`]: capabilities, seccomp filter, AppArmor profile, SELinux labels, hidden and read-only paths.
//! [`user::resolve`] finds out who a container runs as from the image's own `/etc/passwd` and `/etc/group`.
//!
//! Nothing an image says can widen a confinement, and every file of an image or of a node is read through a limit.
//! What the host cannot enforce (no seccomp, no AppArmor, no SELinux) is ignored where CRI-O ignores it and refused
//! where the request named a profile of its own.

pub mod apparmor;
pub mod capability;
mod confinement;
mod host;
pub mod paths;
pub mod seccomp;
pub mod selinux;
pub mod user;

pub use capability::{CapabilitySet, CapabilitySets};
pub use confinement::{Config, ConfineError, Confinement, PodContext, Security, UNCONFINED};
pub use host::HostSecurity;
pub use user::{ResolvedUser, SynthesisedFile, UserError, UserRequest};
