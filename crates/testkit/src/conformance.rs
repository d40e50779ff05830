//! critest, the conformance tests of the Container Runtime Interface, run against a real node.
//!
//! A [`Rig`] is a registry that holds every image critest names, under the names critest uses, and a node that finds them there.
//! [`Rig::run`] runs the specs a [`Selection`] picks and reads the [`Report`] that critest writes about itself; what it prints goes
//! to a file. `cargo xtask setup` builds critest; a constant of it, the digest of an image that we cannot have, is replaced there by
//! a variable, which is set here to the digest of ours.

mod images;
mod report;
mod rig;

pub use report::{Report, Spec};
pub use rig::{Rig, Selection};
