//! The CNI client: what libcni is for other runtimes.
//!
//! [`configuration`] parses network configurations, [`directory`] chooses one, [`chain`] runs its plugins in order,
//! [`plugin`] runs one of them, [`result`] reads what came out, [`cache`] remembers it the way libcni does, and
//! [`runtime`] says which facts of a pod plugins are told. Follows the CNI specification, versions 0.1.0 to 1.1.0.
//!
//! Configuration files and plugin output are data from outside: they are parsed once, here, and unknown keys of a
//! plugin's configuration travel through untouched and in order.

pub(crate) mod cache;
pub(crate) mod chain;
pub(crate) mod configuration;
pub(crate) mod directory;
pub(crate) mod plugin;
mod quantity;
pub(crate) mod result;
pub(crate) mod runtime;
mod version;

/// The interface plugins make in a pod; all of Kubernetes expects this name.
pub(crate) const INTERFACE: &str = "eth0";
